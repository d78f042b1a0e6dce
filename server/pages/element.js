// <watchword-verification>: the parts of a verification's hosted page inside a page of the app.
//
//   <script type="module" src="https://verify.example.com/element.js"></script>
//   <watchword-verification id="vf_..." ticket="vt_..."></watchword-verification>
//
// id and ticket are those of the answer to POST /v1/verifications. The app gives them to the element and never takes them from its own
// address, because whoever sends the address would choose them. What the element contains is shown until the first part is.
//
// Events, which do not bubble:
//   approved  { verification, return_code }  for the app's backend, which redeems the verification with its handle
//   ended     { verification, status }       canceled, locked or expired
//   error     { verification, code }         unknown_verification, page_opened (by another browser or before a reload), or unavailable:
//                                            the server cannot be reached, or does not list the origin of the page; the element tries again
import { makeParts } from "./parts.js";
import { controlKey } from "./keys.js";
import { makeTools } from "./tools.js";

const server = new URL(import.meta.url).origin;
const style = new CSSStyleSheet();
style.replaceSync(css);

// Where a page requires Trusted Types, the policy `watchword` has to be allowed. The HTML is that of the server, which escapes.
const trusted = window.trustedTypes?.createPolicy("watchword", { createHTML: (html) => html });

// What verifications have opened on this page, by id and ticket: the seed that repeats an exchange whose response was lost, and the bearer
// for which the ticket was exchanged. They are in memory only, and stay while the page does, because frameworks create elements again.
const sessions = new Map();

// How parts of the element are called for ::part, by selectors. A later one wins.
const partNames = {
  h1: "heading", p: "text", label: "label", input: "input", button: "button", ".ways button": "method", ".plain": "link", footer: "footer",
  ".error": "error", ".notice": "notice", ".number": "number", ".code": "code",
};

const statusOfError = { 404: "unknown_verification", 409: "page_opened" };
const firstPause = 2000; // milliseconds before the first repetition of a request that failed; each pause is twice as long,
const longestPause = 30000; // up to this

class WatchwordVerification extends HTMLElement {
  static observedAttributes = ["id", "ticket"];
  #main = document.createElement("div");
  #slot = document.createElement("slot");
  #parts;
  #shown = ""; // id and ticket
  #verification = "";
  #session;
  #control = new AbortController(); // ends the requests of this verification
  #state = "";
  #ended = false;
  #broken = "";

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [style];
    this.#main.id = "main";
    root.append(this.#slot, this.#main);
    this.#parts = makeParts(this.#main, {
      send: (action, fields) => this.#send(action, fields),
      load: (query) => this.#load(query),
      show: (part) => this.#show(part),
      fail: () => this.#fail(),
      keys: async () => ({ controlKey }),
      tools: async () => ({ makeTools }),
      post: (action, fields) => this.#request(action, fields),
    });
    this.#main.addEventListener("click", (e) => this.#goOn(e));
  }

  get ticket() { return this.getAttribute("ticket") ?? ""; }
  set ticket(value) { this.setAttribute("ticket", value ?? ""); }

  connectedCallback() { queueMicrotask(() => this.#update()); }
  disconnectedCallback() { queueMicrotask(() => this.#update()); }
  attributeChangedCallback() { queueMicrotask(() => this.#update()); }

  // update begins with another verification, or ends the one that is shown if the element was removed. An element that is moved, and
  // attributes that are set one after the other, have settled by now.
  #update() {
    const wanted = this.isConnected && this.id && this.ticket ? `${this.id} ${this.ticket}` : "";
    if (wanted === this.#shown) return;
    this.#control.abort();
    this.#parts.stop();
    this.#main.replaceChildren();
    this.#slot.hidden = false;
    this.#shown = wanted;
    if (!wanted) return;
    this.#control = new AbortController();
    this.#verification = this.id;
    this.#ended = false;
    this.#state = "";
    if (!sessions.has(wanted)) sessions.set(wanted, { seed: crypto.randomUUID(), bearer: "" });
    this.#session = sessions.get(wanted);
    this.#open(this.#control.signal);
  }

  // open exchanges the ticket, or goes on with the bearer that this page has, and waits for events.
  async #open(signal) {
    for (let pause = firstPause; !signal.aborted; pause = Math.min(2 * pause, longestPause)) {
      const first = this.#session.bearer ? ["state"] : ["open", { ticket: this.ticket, seed: this.#session.seed, bearer: true }];
      if (await this.#receive(...first)) break;
      await sleep(pause, signal);
    }
    while (!signal.aborted && !this.#ended) {
      await this.#listen(signal);
      await sleep(firstPause, signal);
    }
  }

  #request(action, fields) {
    const headers = {};
    if (fields) headers["Content-Type"] = "application/json";
    if (this.#session.bearer) headers.Authorization = `Bearer ${this.#session.bearer}`;
    return fetch(`${server}/v/${encodeURIComponent(this.#verification)}/${action}`, {
      method: fields ? "POST" : "GET", body: fields && JSON.stringify(fields), headers,
      credentials: "omit", cache: "no-store", referrerPolicy: "no-referrer", signal: this.#control.signal,
    });
  }

  // receive shows the part of a response. It returns false if there is none.
  async #receive(action, fields, takesFocus = false) {
    const { signal } = this.#control;
    try {
      const response = await this.#request(action, fields);
      const part = await response.json();
      if (signal.aborted) return true;
      if (!part.html || response.status >= 500) throw new Error(part.code ?? response.status);
      this.#show(part, takesFocus, part.status ? "" : statusOfError[response.status]);
      return true;
    } catch (e) {
      if (!signal.aborted) this.#fail(e);
      return signal.aborted;
    }
  }

  async #send(action, fields) {
    this.#parts.setBusy(true);
    await this.#receive(action, fields, true);
  }

  async #load(query) {
    this.#parts.setBusy(true);
    await this.#receive(`state${query}`);
  }

  // fail says that a request failed. Before the first part the element has no text for it.
  #fail(e) {
    console.warn(`watchword-verification: no answer from ${server}. Is ${location.origin} among the app's origins?`, e);
    this.#emit("error", { code: "unavailable" });
    if (!this.#broken) return;
    const message = document.createElement("p");
    message.className = "error";
    message.role = "alert";
    message.part = "error";
    message.textContent = this.#broken;
    this.#parts.showError(message);
  }

  #show(part, takesFocus = false, code = "") {
    if (this.#ended || !part.html) return;
    if (part.bearer) this.#session.bearer = part.bearer;
    this.#broken = part.broken ?? this.#broken;
    this.#state = part.state ?? "";
    const main = this.#main;
    main.lang = part.lang;
    main.dir = part.dir;
    for (const [name, value] of Object.entries(part.theme ?? {})) main.style.setProperty(`--theme${name.slice(1)}`, value);
    takesFocus ||= this.shadowRoot.activeElement !== null;
    this.#slot.hidden = true;
    this.#parts.replace({ ...part, html: trusted ? trusted.createHTML(part.html) : part.html }, takesFocus);
    for (const [selector, name] of Object.entries(partNames)) for (const e of main.querySelectorAll(selector)) e.part = name;
    for (const e of main.querySelectorAll("h1")) e.ariaLevel = "2"; // the page has a heading of its own
    if (!part.final) return;
    this.#ended = true;
    if (code) this.#emit("error", { code });
    else if (part.status === "approved") this.#emit("approved", { return_code: part.return_code });
    else this.#emit("ended", { status: part.status });
  }

  #emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail: { verification: this.#verification, ...detail } }));
  }

  // goOn leads to the app's return URL with a new return code, because the one of the event may have expired.
  async #goOn(e) {
    if (!("next" in e.target.dataset)) return;
    e.preventDefault();
    try {
      const { next } = await (await this.#request("state")).json();
      if (next) location.assign(next);
    } catch (error) {
      this.#fail(error);
    }
  }

  // listen reads the events of the server (Server-Sent Events) until the stream ends. EventSource sends no header.
  async #listen(signal) {
    try {
      const response = await this.#request(`events?state=${encodeURIComponent(this.#state)}`);
      if (response.status === 404) return this.#show(await response.json(), false, statusOfError[404]);
      if (!response.ok) return;
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let text = ""; ;) {
        const { done, value } = await reader.read();
        if (done || signal.aborted) return;
        const events = (text + value).split("\n\n");
        text = events.pop();
        for (const event of events) this.#take(/^event: (.*)$/m.exec(event)?.[1], JSON.parse(/^data: (.*)$/m.exec(event)?.[1] ?? "null"));
      }
    } catch {
      // The connection is lost, or the element was removed.
    }
  }

  #take(name, data) {
    if (name === "note") this.#parts.showNote(data);
    if (name === "part" && (data.final || data.state !== this.#state)) this.#show(data); // else it is the answer to what the person did here
  }
}

const sleep = (milliseconds, signal) => new Promise((resolve) => {
  const timer = setTimeout(resolve, milliseconds);
  signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
});

if (!customElements.get("watchword-verification")) customElements.define("watchword-verification", WatchwordVerification);
