// The script of the hosted pages. The server renders the parts, with all texts. This script inserts them, sends forms as
// JSON, waits for the end of the challenge, and uses the browser: countdowns, codes from text messages, keys. Attributes
// select what a part needs (data-do, data-load, data-save, data-wait, data-show, data-length, data-auto, data-sms, data-key, data-copy,
// data-download, data-print, data-reload), so a new ask needs a new part and, for another browser function, a line in `activate` or in a listener
// below.

const main = document.querySelector("main");
const path = location.pathname;
const isLink = document.body.dataset.page === "link";
const secret = location.hash.slice(1); // a page's ticket, or a link's token
// Connects the pages of the link and of its challenge or verification in one browser. Without it both open return_url.
const openChannel = (id) => window.BroadcastChannel ? new BroadcastChannel(id) : null;
let events = null;
let state = ""; // of the verification, as the shown part has it
let smsRequest = null; // aborts the request for a text message
let keyRequest = null; // aborts the request for a key
let keys = null; // the module that asks the browser for a key, while a part needs it
let timer = 0;
let sent = ""; // the last code that was sent: a complete code is sent by itself once
let busy = false; // a request is on its way
let ended = false; // the end is shown; the page that answers gets it twice, as a response and as an event
let leaving = false; // the person has canceled here, so the page goes back to the app by itself
let otherTabActive = false; // the person goes on in another tab, of this page or of the link
const channel = isLink ? null : openChannel(path.slice(path.lastIndexOf("/") + 1));

// send posts the fields of a form, or of the page itself, and shows the part of the response.
async function send(action, fields) {
  setBusy(true);
  try {
    const response = await fetch(`${path}/${action}`, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(fields), cache: "no-store",
    });
    const part = await response.json();
    if (action === "open" && !isLink && response.status < 500) forgetTicket();
    showPart(part);
  } catch {
    showFailure();
  }
}

async function loadState(query = "") {
  setBusy(true);
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

// stayInThisTab keeps the other tabs of this page from opening return_url.
function stayInThisTab() {
  otherTabActive = false;
  channel?.postMessage("here");
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
  main.querySelector(".scan")?.toggleAttribute("open", innerWidth >= 640); // a phone cannot scan its own screen
  if (main.querySelector("[data-key]")) loadKeys().catch(() => {});
  const button = main.querySelector("[data-wait]");
  if (button) countDown(button);
  const input = main.querySelector("[data-sms]");
  if (input && "OTPCredential" in window) readSMS(input);
}

// showTime writes a time in the language of the page and the time zone of the browser, with its distance if it has data-ago.
function showTime(element) {
  const { lang } = document.documentElement;
  const at = new Date(element.dateTime);
  element.textContent = at.toLocaleTimeString(lang, { hour: "numeric", minute: "2-digit" });
  if (!("ago" in element.dataset)) return;
  const minutes = Math.min(Math.round((at - Date.now()) / 60000), 0);
  const [count, unit] = Math.abs(minutes) < 90 ? [minutes, "minute"] : [Math.round(minutes / 60), "hour"];
  element.textContent += ` (${new Intl.RelativeTimeFormat(lang, { numeric: "auto" }).format(count, unit)})`;
}

function abortRequests() {
  clearInterval(timer);
  smsRequest?.abort();
  keyRequest?.abort();
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

function countDown(button) {
  const end = Date.now() + button.dataset.wait * 1000;
  const text = button.textContent;
  const tick = () => {
    const left = Math.ceil((end - Date.now()) / 1000);
    button.disabled = left > 0;
    button.textContent = left > 0 ? button.dataset.waiting.replace("{time}", `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`) : text;
    if (left <= 0) clearInterval(timer);
  };
  timer = setInterval(tick, 1000);
  tick();
}

// readSMS takes the code from a text message that is bound to the origin of this page (WebOTP).
async function readSMS(input) {
  smsRequest = new AbortController();
  try {
    const { code } = await navigator.credentials.get({ otp: { transport: ["sms"] }, signal: smsRequest.signal });
    input.value = code;
    input.form.requestSubmit();
  } catch {
    // No message arrived, or the person typed the code.
  }
}

// The errors of a browser, and the attributes with their texts.
const refusals = new Map([["NotAllowedError", "refused"], ["InvalidStateError", "twice"], ["NotSupportedError", "missing"]]);

const loadKeys = () => (keys = import("./keys.js"));

// useKey asks the browser for a credential, which requires a click, and sends it. After an error the person can try again. If
// another part has replaced the form, the message is not visible.
async function useKey(form) {
  removeError();
  setBusy(true);
  const loaded = await keys.catch(loadKeys).catch(() => null);
  setBusy(false);
  if (!loaded) return showFailure();
  const button = form.querySelector("button");
  keyRequest = new AbortController();
  button.disabled = true;
  form.ariaBusy = "true";
  button.textContent = form.dataset.waits;
  try {
    const answer = await loaded.credential(form.dataset.key, JSON.parse(form.dataset.options), keyRequest.signal);
    stayInThisTab();
    send("answer", { ...Object.fromEntries(new FormData(form)), answer });
  } catch (e) {
    const reason = refusals.get(e?.name) ?? "failed";
    const message = document.createElement("p");
    message.className = reason === "refused" ? "notice" : "error"; // the person may have closed the dialog, which is no error
    message.role = "alert";
    message.textContent = form.dataset[reason];
    button.before(message);
    button.disabled = false;
    form.ariaBusy = null;
    button.textContent = form.dataset.again;
    button.hidden = reason === "missing";
    button.focus();
  }
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
  events.addEventListener("note", (e) => {
    const note = main.querySelector("#note");
    if (note && note.textContent !== JSON.parse(e.data)) note.textContent = JSON.parse(e.data);
  });
  events.addEventListener("error", () => {
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, 3000);
  });
}

// The second click of a double click may hit the next part.
main.addEventListener("click", (e) => {
  if (e.detail > 1 && e.target.closest("button")) e.preventDefault();
});

main.addEventListener("submit", (e) => {
  e.preventDefault();
  if (busy) return;
  if (e.target.dataset.key) return useKey(e.target);
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
  stayInThisTab();
  send(e.target.dataset.do, fields);
});

// A choice that is saved at once and changes nothing else on the page.
main.addEventListener("change", async (e) => {
  const { save } = e.target.dataset;
  if (!save) return;
  const body = JSON.stringify({ [save]: e.target.checked });
  const saved = await fetch(`${path}/${save}`, { method: "POST", headers: { "Content-Type": "application/json" }, body }).catch(() => null);
  if (!saved?.ok) e.target.checked = !e.target.checked;
});

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

channel?.addEventListener("message", () => { otherTabActive = true; });

if (isLink) {
  send("open", { token: secret });
} else if (secret) {
  openPage();
} else {
  loadState();
}
