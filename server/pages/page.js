// The script of the hosted pages. It opens a page, shows its parts, waits for the end of the challenge and leads back to the app. What
// parts do is in parts.js. Attributes of the pages alone: data-show, data-wide, data-reload, data-next.
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
let otherTabActive = false; // the person goes on in another tab, of this page or of the link
const channel = isLink ? null : openChannel(path.split("/").pop());

const post = (action, fields) => fetch(`${path}/${action}`, {
  method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(fields),
});

const parts = makeParts(main, {
  post, send: sendForm, load: loadState, show: showPart, fail: showFailure, keys: () => import("./keys.js"), tools: () => import("./tools.js"),
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
  stayInThisTab();
  send(action, fields);
}

async function loadState(query = "") {
  parts.setBusy(true);
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

// showFailure says that a request failed: where the part shows its errors or, if no part is shown yet, in its place, with a button
// that loads the page again.
function showFailure() {
  if (ended) return;
  parts.setBusy(false);
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
  for (const d of main.querySelectorAll("[data-wide]")) d.open = (d.dataset.wide === "open") === innerWidth >= 640; // a phone cannot scan its own screen
  const logo = main.querySelector(".app img");
  logo?.decode().then(() => showIcon(logo), () => {});
  if (part.final) finish(part.next);
  else if (!isLink && !events) listen();
}

// showIcon makes the logo the icon of the tab, unless it is so wide that nobody could read it there.
function showIcon(logo) {
  if (logo.naturalWidth <= 2 * logo.naturalHeight) document.querySelector("[rel=icon]").href = logo.currentSrc;
}

// stayInThisTab keeps the other tabs of this page from opening return_url.
function stayInThisTab() {
  otherTabActive = false;
  channel?.postMessage("here");
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

// listen waits for events. A server that is full or restarting closes the stream; then the page connects again later.
function listen() {
  events = new EventSource(`${path}/events?state=${encodeURIComponent(state)}`);
  events.addEventListener("part", (e) => {
    const part = JSON.parse(e.data);
    if (part.final || part.state !== state) showPart(part); // else it is the answer to what the person did here
  });
  events.addEventListener("note", (e) => parts.showNote(JSON.parse(e.data)));
  events.addEventListener("error", () => {
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, 3000);
  });
}

main.addEventListener("click", (e) => {
  const { dataset } = e.target;
  if ("next" in dataset && !isLink) { // its return code may have expired
    e.preventDefault();
    ended = otherTabActive = false;
    loadState();
  }
  if ("reload" in dataset) location.reload(); // with the ticket or token, which a link to this address would not keep
  // The form that cancels is not in the document until a person asks for it, because automated clients click every button.
  const hidden = document.getElementById(dataset.show);
  if (!hidden || !e.isTrusted) return;
  e.target.parentElement.replaceWith(hidden.content);
  main.querySelector("[data-do=report] button").focus();
});

channel?.addEventListener("message", () => { otherTabActive = true; });

if (isLink) {
  send("open", { token: secret });
} else if (secret) {
  send("open", { ticket: secret, seed: readSeed() }); // if the response is lost, the ticket stays in the address, and a reload repeats the exchange
} else {
  loadState();
}
