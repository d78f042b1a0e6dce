// The script of the hosted pages. The server renders every part, in its words and languages; this puts parts in place,
// sends forms as JSON, waits for the end, and does what only a browser can: countdowns, codes out of text messages, keys.
// What a part wants is said in its attributes (data-do, data-wait, data-show, data-sms, data-key, data-copy, data-print),
// so a new ask needs a new part and, if it uses something of the browser, a line in `wire` or in a listener below.

import { credential } from "./keys.js";

const main = document.querySelector("main");
const path = location.pathname;
const isLink = document.body.dataset.page === "link";
const secret = location.hash.slice(1); // a page's ticket, or a link's token
// The link's page and the challenge's, in one browser. Where it has no such channel both go on to the app.
const tabs = window.BroadcastChannel ? new BroadcastChannel(path.slice(path.lastIndexOf("/") + 1)) : null;
let events = null;
let typing = null; // ends listening for a text message
let keying = null; // ends the browser's asking for a key
let ticking = 0;
let over = false; // the end is shown; it comes twice to whoever answered: to his request and among the events
let elsewhere = false; // the link's page goes on, in another tab of this browser

async function send(action, fields) {
  busy(true);
  try {
    const answer = await fetch(`${path}/${action}`, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(fields), cache: "no-store",
    });
    show(await answer.json());
  } catch {
    broken();
  }
}

async function look() {
  try {
    show(await (await fetch(`${path}/state`, { cache: "no-store" })).json());
  } catch {
    broken();
  }
}

function busy(yes) {
  main.ariaBusy = String(yes);
  for (const b of main.querySelectorAll("button:not([data-wait])")) b.disabled = yes;
}

function broken() {
  if (over) return;
  busy(false);
  main.querySelector(".error[role=alert]")?.remove();
  document.querySelector("#wait")?.remove();
  main.append(document.querySelector("#broken").content.cloneNode(true));
}

function show(part) {
  if (over) return;
  if (!part.html) return broken(); // a problem of the API's kind: nothing for people
  stop();
  document.documentElement.lang = part.lang;
  document.title = part.title;
  for (const [name, value] of Object.entries(part.theme ?? {})) document.documentElement.style.setProperty(name, value);
  main.innerHTML = part.html;
  busy(false);
  wire();
  const first = main.querySelector("[autofocus]") ?? main.querySelector("h1");
  if (first?.tagName === "H1") first.tabIndex = -1;
  first?.focus();
  if (part.final) finish(part.next);
  else if (!isLink && !events) watch();
}

// wire brings to life what the new part asks for.
function wire() {
  for (const t of main.querySelectorAll("time")) {
    t.textContent = new Date(t.dateTime).toLocaleTimeString(document.documentElement.lang, { hour: "2-digit", minute: "2-digit" });
  }
  const later = main.querySelector("[data-wait]");
  if (later) countDown(later);
  const code = main.querySelector("[data-sms]");
  if (code && "OTPCredential" in window) listen(code);
}

function stop() {
  clearInterval(ticking);
  typing?.abort();
  keying?.abort();
}

function finish(next) {
  over = true;
  events?.close();
  if (isLink) history.replaceState(null, "", path);
  if (next && !elsewhere) location.replace(next);
}

function countDown(button) {
  const end = Date.now() + button.dataset.wait * 1000;
  const text = button.textContent;
  const tick = () => {
    const left = Math.ceil((end - Date.now()) / 1000);
    button.disabled = left > 0;
    button.textContent = left > 0 ? button.dataset.waiting.replace("{time}", `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`) : text;
    if (left <= 0) clearInterval(ticking);
  };
  ticking = setInterval(tick, 1000);
  tick();
}

// listen takes the code out of a text message that is bound to this page's origin (WebOTP).
async function listen(input) {
  typing = new AbortController();
  try {
    const { code } = await navigator.credentials.get({ otp: { transport: ["sms"] }, signal: typing.signal });
    input.value = code;
    input.form.requestSubmit();
  } catch {
    // Nothing came, or the person types.
  }
}

// What a browser says when it brings no key, and the attribute that has the words for it.
const refusals = new Map([["NotAllowedError", "refused"], ["InvalidStateError", "twice"], ["NotSupportedError", "missing"]]);

// useKey has the browser ask for a key, which it does only after a press, and sends what the key says. Whoever did not
// succeed may press again. When another part has come meanwhile, this form is out of sight, and so is what it would say.
async function useKey(form) {
  const button = form.querySelector("button");
  keying = new AbortController();
  button.disabled = true;
  main.querySelector(".error[role=alert]")?.remove();
  try {
    send("answer", { answer: await credential(form.dataset.key, JSON.parse(form.dataset.options), keying.signal) });
  } catch (e) {
    const error = document.createElement("p");
    error.className = "error";
    error.setAttribute("role", "alert");
    error.textContent = form.dataset[refusals.get(e?.name) ?? "failed"];
    button.before(error);
    button.disabled = false;
    button.focus();
  }
}

// copy marks a text, so that it can be copied by hand too, and copies it.
async function copy(button) {
  const text = document.getElementById(button.dataset.copy);
  getSelection().selectAllChildren(text);
  try {
    await navigator.clipboard.writeText(text.innerText);
    button.nextElementSibling.textContent = button.dataset.copied;
  } catch {
    // The browser does not allow it: the text stays marked.
  }
}

// watch waits for the end. A server that is full or restarting closes the stream for good: then it is asked again later.
function watch() {
  events = new EventSource(`${path}/events`);
  events.addEventListener("part", (e) => show(JSON.parse(e.data)));
  events.addEventListener("note", (e) => {
    const note = main.querySelector("#note");
    if (note && note.textContent !== JSON.parse(e.data)) note.textContent = JSON.parse(e.data);
  });
  events.addEventListener("error", () => {
    if (events.readyState === EventSource.CLOSED) setTimeout(watch, 3000);
  });
}

main.addEventListener("submit", (e) => {
  e.preventDefault();
  if (e.target.dataset.key) return useKey(e.target);
  const fields = Object.fromEntries(new FormData(e.target));
  if (isLink) {
    fields.token = secret;
    if (e.target.dataset.do === "answer") tabs?.postMessage("here");
  }
  send(e.target.dataset.do, fields);
});

main.addEventListener("click", (e) => {
  if (e.target.dataset.copy) copy(e.target);
  if ("print" in e.target.dataset) print();
});

// What ends everything is not in the document before a person has asked for it: programs press every button there is.
main.addEventListener("click", (e) => {
  const hidden = document.getElementById(e.target.dataset.show);
  if (!hidden || !e.isTrusted) return;
  e.target.parentElement.replaceWith(hidden.content);
  main.querySelector("[data-do=report] button").focus();
});

tabs?.addEventListener("message", () => { elsewhere = !isLink; });

document.querySelector("#wait").hidden = false;
if (isLink) {
  send("open", { token: secret });
} else if (secret) {
  history.replaceState(null, "", path);
  send("open", { ticket: secret });
} else {
  look();
}
