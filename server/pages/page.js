// The script of the hosted pages. It opens a page, shows its parts, waits for the end of the challenge and leads back to the app. What
// parts do is in parts.js. Attributes of the pages alone: data-show, data-copy, data-download, data-print, data-reload, data-next.
import { makeParts } from "./parts.js";

const main = document.querySelector("main");
const path = location.pathname;
const isLink = document.body.dataset.page === "link";
const secret = location.hash.slice(1); // a page's ticket, or a link's token
// Connects the pages of the link and of its challenge or verification in one browser. Without it both open return_url.
const openChannel = (id) => window.BroadcastChannel ? new BroadcastChannel(id) : null;
let events = null;
let state = ""; // of the verification, as the shown part has it
let ended = false; // the end is shown; the page that answers gets it twice, as a response and as an event
let leaving = false; // the person has canceled here, so the page goes back to the app by itself
let otherTabActive = false; // the page of the link is answered in another tab

const parts = makeParts(main, {
  send: sendForm, load: loadState, show: showPart, fail: showFailure, keys: () => import("./keys.js"),
  save: async (name, value) => (await post(name, { [name]: value }).catch(() => null))?.ok,
  renew: async (method) => (await post("renew", { method })).json(),
});

const post = (action, fields) => fetch(`${path}/${action}`, {
  method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(fields), cache: "no-store",
});

// send posts the fields of a form, or of the page itself, and shows the part of the response.
async function send(action, fields) {
  parts.setBusy(true);
  try {
    const response = await post(action, fields);
    const part = await response.json();
    if (action === "open" && !isLink && response.status < 500) forgetTicket();
    showPart(part);
  } catch {
    showFailure();
  }
}

function sendForm(action, fields, form) {
  leaving = action === "cancel";
  if (isLink) {
    fields.token = secret;
    if (action === "answer") {
      fields.seed = readSeed();
      openChannel(form.dataset.page)?.postMessage("here");
    }
  }
  send(action, fields);
}

async function loadState(query = "") {
  try {
    showPart(await (await fetch(`${path}/state${query}`, { cache: "no-store" })).json());
  } catch {
    showFailure();
  }
}

// readSeed returns a random text of this tab. With it, what works once is repeated if its response was lost.
function readSeed() {
  let seed = crypto.randomUUID();
  try {
    seed = sessionStorage.getItem(path) ?? seed;
    sessionStorage.setItem(path, seed);
  } catch {
    // The browser stores nothing.
  }
  return seed;
}

// openPage exchanges the ticket, which works once. If the response is lost, the ticket stays in the address, and a reload repeats
// the exchange.
const openPage = () => send("open", { ticket: secret, seed: readSeed() });

function forgetTicket() {
  history.replaceState(null, "", path);
  try {
    sessionStorage.removeItem(path);
  } catch {
    // The browser stores nothing.
  }
}

// showFailure says that a request failed: where the part shows its errors or, if no part is shown yet, in its place, with a button
// that loads the page again.
function showFailure() {
  if (ended) return;
  const copyOf = (id) => document.getElementById(id).content.cloneNode(true);
  const wait = document.querySelector("#wait");
  if (wait) wait.replaceWith(copyOf("broken"), copyOf("again"));
  else parts.showError(copyOf("broken"));
}

function showPart(part) {
  if (ended) return;
  if (!part.html) return showFailure(); // an API problem, which has no text for people
  document.documentElement.lang = part.lang;
  document.documentElement.dir = part.dir;
  document.title = part.title;
  for (const [name, value] of Object.entries(part.theme ?? {})) document.documentElement.style.setProperty(name, value);
  state = part.state ?? "";
  parts.replace(part);
  main.querySelector(".scan")?.toggleAttribute("open", innerWidth >= 640); // a phone cannot scan its own screen
  if (part.final) finish(part.next);
  else if (!isLink && !events) listen();
}

function finish(next) {
  ended = true;
  events?.close();
  if (isLink) history.replaceState(null, "", path);
  if (leaving) next = main.querySelector("a.button")?.href;
  if (!next || otherTabActive) return;
  for (const p of main.querySelectorAll("[data-leaving]")) p.hidden = false;
  location.replace(next);
}

// copy selects a text, so that it can also be copied by hand, and copies it.
async function copy(button) {
  const text = document.getElementById(button.dataset.copy);
  getSelection().selectAllChildren(text);
  try {
    await navigator.clipboard.writeText(text.innerText);
    button.parentElement.parentElement.querySelector("[role=status]:is(.tools *, .tools + *)").textContent = button.dataset.copied;
  } catch {
    // The browser does not allow it. The text stays selected.
  }
}

// download saves a list as a text file: what it is, of which site, of which day.
function download(button) {
  const { name } = button.dataset;
  const lines = [name, location.host, new Date().toLocaleDateString(document.documentElement.lang), "", document.getElementById(button.dataset.download).innerText, ""];
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([lines.join("\n")], { type: "text/plain" }));
  link.download = `${name}.txt`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

// listen waits for events. A server that is full or restarting closes the stream; then the page connects again later.
function listen() {
  events = new EventSource(`${path}/events?state=${encodeURIComponent(state)}`);
  events.addEventListener("part", (e) => {
    const part = JSON.parse(e.data);
    if (part.final || part.state !== state) showPart(part); // else it is the answer to what the person did here
  });
  events.addEventListener("note", (e) => {
    const note = main.querySelector("#note");
    if (note && note.textContent !== JSON.parse(e.data)) note.textContent = JSON.parse(e.data);
  });
  events.addEventListener("error", () => {
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, 3000);
  });
}

main.addEventListener("click", (e) => {
  if ("next" in e.target.dataset && !isLink) { // its return code may have expired
    e.preventDefault();
    ended = otherTabActive = false;
    loadState();
  }
  if (e.target.dataset.copy) copy(e.target);
  if (e.target.dataset.download) download(e.target);
  if ("print" in e.target.dataset) print();
  if ("reload" in e.target.dataset) location.reload(); // with the ticket or token, which a link to this address would not keep
});

// The form that cancels is not in the document until a person asks for it, because automated clients click every button.
main.addEventListener("click", (e) => {
  const hidden = document.getElementById(e.target.dataset.show);
  if (!hidden || !e.isTrusted) return;
  e.target.parentElement.replaceWith(hidden.content);
  main.querySelector("[data-do=report] button").focus();
});

if (!isLink) openChannel(path.slice(path.lastIndexOf("/") + 1))?.addEventListener("message", () => { otherTabActive = true; });

if (isLink) {
  send("open", { token: secret });
} else if (secret) {
  openPage();
} else {
  loadState();
}
