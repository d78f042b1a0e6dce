// The script of the hosted pages. The server renders the parts, with all texts. This script inserts them, sends forms as
// JSON, waits for the end of the challenge, and uses the browser: countdowns, codes from text messages, keys. Attributes
// select what a part needs (data-do, data-load, data-wait, data-show, data-length, data-auto, data-sms, data-key, data-reload; those of
// tools.js), so a new ask needs a new part and, for another browser function, a line in `activate` or in a listener below. What few parts need is
// a file of its own, which is loaded with the first of them: keys.js and tools.js.

const main = document.querySelector("main");
const path = location.pathname;
const isLink = document.body.dataset.page === "link";
const secret = location.hash.slice(1); // a page's ticket, or a link's token
// Connects the pages of the link and of its challenge or verification in one browser. Without it both open return_url.
const openChannel = (id) => window.BroadcastChannel ? new BroadcastChannel(id) : null;
let events = null;
let state = ""; // of the verification, as the shown part has it
let credentialRequest = null; // aborts the request for a text message or a key
let timer = 0;
let waitEnd = 0; // when the message can be sent again
let sent = ""; // the last code that was sent: a complete code is sent by itself once
let busy = false; // a request is on its way
let ended = false; // the end is shown; the page that answers gets it twice, as a response and as an event
let leaving = false; // the person has canceled here, so the page goes back to the app by itself
let otherTabActive = false; // the page of the link is answered in another tab

// send posts the fields of a form, or of the page itself, and shows the part of the response.
async function send(action, fields) {
  setBusy(true);
  try {
    const response = await fetch(`${path}/${action}`, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(fields),
    });
    const part = await response.json();
    if (action === "open" && !isLink && response.status < 500) forgetTicket();
    showPart(part);
  } catch {
    showFailure();
  }
}

async function loadState(query = "") {
  try {
    showPart(await (await fetch(`${path}/state${query}`)).json());
  } catch {
    showFailure();
  }
}

// readSeed returns a random text of this tab. With it, what works once is repeated if its response was lost.
function readSeed() {
  const seed = crypto.randomUUID();
  try {
    return sessionStorage[path] ??= seed;
  } catch {
    return seed; // the browser stores nothing
  }
}

function forgetTicket() {
  history.replaceState(null, "", path);
  try {
    sessionStorage.removeItem(path);
  } catch {
    // The browser stores nothing.
  }
}

// A busy page ignores its buttons but does not disable them: a disabled button loses the focus.
function setBusy(on) {
  busy = on;
  main.ariaBusy = String(on);
  for (const b of main.querySelectorAll("button:not([data-wait])")) {
    b.ariaDisabled = on ? "true" : null;
    if (!on) b.disabled = false;
  }
}

// removeError removes the message about the last attempt, and the mark of its field.
function removeError() {
  for (const e of main.querySelectorAll("[role=alert]")) e.remove();
  main.querySelector("[aria-invalid]")?.removeAttribute("aria-invalid");
}

// showFailure says that a request failed: where the part shows its errors or, if no part is shown yet, in its place, with a button
// that loads the page again.
function showFailure() {
  if (ended) return;
  setBusy(false);
  removeError();
  const copyOf = (id) => document.getElementById(id).content.cloneNode(true);
  const wait = document.querySelector("#wait");
  if (wait) {
    wait.replaceWith(copyOf("broken"), copyOf("again"));
    return;
  }
  const next = main.querySelector("[data-do=answer] button:not(.plain)") ?? main.querySelector(".below, footer");
  if (next) next.before(copyOf("broken"));
  else main.append(copyOf("broken"));
}

// readField returns the field of the code with its method, to compare it with the field of the next part.
function readField() {
  const input = main.querySelector("#answer");
  return { input, value: input?.value ?? "", method: input?.form.elements.method?.value };
}

// keepValue keeps what was typed if the next part asks for the same code. A wrong code is selected.
function keepValue(before) {
  const { input, method } = readField();
  if (!input || !before.value || before.method !== method) return;
  input.value = before.value;
  if (input.ariaInvalid === "true") input.select();
}

function showPart(part) {
  if (ended) return;
  if (!part.html) return showFailure(); // an API problem, which has no text for people
  abortRequests();
  document.documentElement.lang = part.lang;
  document.documentElement.dir = part.dir;
  document.title = part.title;
  for (const [name, value] of Object.entries(part.theme ?? {})) document.documentElement.style.setProperty(name, value);
  const before = readField();
  main.innerHTML = part.html;
  state = part.state ?? "";
  setBusy(false);
  activate();
  const first = main.querySelector("[autofocus]") ?? main.querySelector("h1");
  if (first?.tagName === "H1") first.tabIndex = -1;
  first?.focus();
  keepValue(before);
  if (part.final) finish(part.next);
  else if (!isLink && !events) listen();
}

// activate starts what the attributes of a new part need.
function activate() {
  main.querySelectorAll("time").forEach(showTime);
  for (const d of main.querySelectorAll("[data-wide]")) d.open = (d.dataset.wide === "open") === innerWidth >= 640; // a phone cannot scan its own screen
  if (main.querySelector("[data-key]")) import("./keys.js").catch(() => {}); // the click says what failed
  if (main.querySelector("[data-ago], [data-save], .tools")) import("./tools.js").then((tools) => tools.activate(), showFailure);
  const button = main.querySelector("[data-wait]");
  if (button) countDown(button.dataset.wait);
  const logo = main.querySelector(".app img");
  logo?.decode().then(() => showIcon(logo), () => {});
  const input = main.querySelector("[data-sms]");
  if (input && "OTPCredential" in window) readSMS(input);
}

// showTime writes a time in the language of the page and the time zone of the browser.
function showTime(element) {
  element.textContent = new Date(element.dateTime).toLocaleTimeString(document.documentElement.lang, { timeStyle: "short" });
}

// showIcon makes the logo the icon of the tab, unless it is so wide that nobody could read it there.
function showIcon(logo) {
  if (logo.naturalWidth <= 2 * logo.naturalHeight) document.querySelector("[rel=icon]").href = logo.currentSrc;
}

function abortRequests() {
  clearInterval(timer);
  credentialRequest?.abort();
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

// countDown enables the buttons that send again after so many seconds. Those with data-waiting show the time that is left.
function countDown(seconds) {
  waitEnd = Date.now() + seconds * 1000;
  timer = setInterval(showWait, 1000);
  showWait();
}

function showWait() {
  const left = Math.ceil((waitEnd - Date.now()) / 1000);
  for (const button of main.querySelectorAll("[data-wait]")) {
    const { text = button.textContent, waiting = text } = button.dataset;
    button.dataset.text = text;
    button.disabled = left > 0;
    button.textContent = left > 0 ? waiting.replace("{time}", `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`) : text;
  }
  if (left <= 0) clearInterval(timer);
}

// readSMS takes the code from a text message that is bound to the origin of this page (WebOTP).
async function readSMS(input) {
  credentialRequest = new AbortController();
  try {
    const { code } = await navigator.credentials.get({ otp: { transport: ["sms"] }, signal: credentialRequest.signal });
    input.value = code;
    input.form.requestSubmit();
  } catch {
    // No message arrived, or the person typed the code.
  }
}

// useKey asks for a key and sends it. If another part has replaced the form, no message is visible.
async function useKey(form) {
  const { askForKey } = await import("./keys.js");
  removeError();
  credentialRequest = new AbortController();
  const answer = await askForKey(form, credentialRequest.signal);
  if (answer) send("answer", { ...Object.fromEntries(new FormData(form)), answer });
}

// cleanCode returns a typed or pasted code without what the server ignores anyway and, if it is of digits, without everything else.
function cleanCode(text, alphabet) {
  text = text.normalize("NFKC").replace(/[\s\p{Pd}\p{Cf}]/gu, "");
  return alphabet === "0123456789" ? text.replace(/\P{Nd}/gu, "") : text.toUpperCase();
}

main.addEventListener("input", (e) => {
  const { length, alphabet, auto } = e.target.dataset;
  if (!length || e.isComposing) return;
  const code = cleanCode(e.target.value, alphabet);
  const value = code.slice(0, length);
  if (value !== e.target.value) e.target.value = value;
  if (code.length === Number(length) && code !== sent && auto !== undefined) e.target.form.requestSubmit();
});

// listen waits for events. A server that is full or restarting closes the stream; then the page connects again later.
function listen() {
  events = new EventSource(`${path}/events?state=${encodeURIComponent(state)}`);
  events.addEventListener("part", (e) => {
    const part = JSON.parse(e.data);
    if (part.final || part.state !== state) showPart(part); // else it is the answer to what the person did here
  });
  events.addEventListener("note", (e) => showNote(JSON.parse(e.data)));
  events.addEventListener("error", () => {
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, 3000);
  });
}

// showNote says what became of the message. One that failed can be sent again at once.
function showNote({ text, late }) {
  const note = main.querySelector("#note");
  if (!note || note.textContent === text) return;
  note.className = late ? "notice" : "error";
  note.textContent = text;
  if (!text || late) return;
  waitEnd = 0;
  showWait();
}

main.addEventListener("submit", (e) => {
  e.preventDefault();
  if (busy) return;
  if (e.target.dataset.key) return useKey(e.target).catch(showFailure);
  if ("load" in e.target.dataset) return loadState(e.target.dataset.load);
  const rejected = e.target.querySelector("[data-rejected]");
  if (rejected && rejected.value === sent) return rejected.select(); // a wrong code stays wrong, and would cost another try
  const fields = Object.fromEntries(new FormData(e.target));
  leaving = e.target.dataset.do === "cancel";
  sent = fields.answer ?? "";
  if (isLink) {
    fields.token = secret;
    if (e.target.dataset.do === "answer") {
      fields.seed = readSeed();
      openChannel(e.target.dataset.page)?.postMessage("here");
    }
  }
  send(e.target.dataset.do, fields);
});

main.addEventListener("click", (e) => {
  const { next, reload, show } = e.target.dataset;
  if (next !== undefined && !isLink) { // its return code may have expired
    e.preventDefault();
    ended = otherTabActive = false;
    loadState();
  }
  if (reload !== undefined) location.reload(); // with the ticket or token, which a link to this address would not keep
  // The form that cancels is not in the document until a person asks for it, because automated clients click every button.
  const hidden = document.getElementById(show);
  if (!hidden || !e.isTrusted) return;
  e.target.parentElement.replaceWith(hidden.content);
  main.querySelector("[data-do=report] button").focus();
});

if (!isLink) openChannel(path.split("/").pop())?.addEventListener("message", () => { otherTabActive = true; });

if (isLink) {
  send("open", { token: secret });
} else if (secret) {
  send("open", { ticket: secret, seed: readSeed() }); // if the response is lost, the ticket stays in the address, and a reload repeats the exchange
} else {
  loadState();
}
