// Sends requests to the API and shows each of them as a line to paste, with its answer.

import { languages, setups } from "./lines.js";

const { key, adminKey } = document.body.dataset;
const list = document.getElementById("requests");
const setup = document.getElementById("setup");
const choices = [...document.querySelectorAll("[name=language]")];
const languageKey = "watchword-playground-language";

/** An answer of the API that is no success: a problem (RFC 9457). */
export class Problem extends Error {
  constructor(body, status) {
    super(body.errors?.map(({ field, reason }) => `${field} ${reason}.`).join(" ") ?? body.detail ?? body.title ?? `The server answered ${status}.`);
    Object.assign(this, { body, status, code: body.code });
  }
}

/** Makes an element. Members of props are its attributes; those that are functions are listeners. */
export function element(name, props = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(props)) {
    if (typeof value === "function") made.addEventListener(key, value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== undefined && child !== null));
  return made;
}

/** Copies a text, and says so. */
export async function copy(text) {
  const toast = document.getElementById("toast");
  try {
    await navigator.clipboard.writeText(text);
    toast.textContent = "Copied";
  } catch {
    toast.textContent = "The browser did not copy it.";
  }
  setTimeout(() => { toast.textContent = ""; }, 2000);
}

// The language that is chosen now.
const language = () => choices.find((one) => one.checked).value;

// lineBox is a text to paste, with a button that copies it.
const lineBox = (text) => [element("pre", {}, text), element("button", { type: "button", click: () => copy(text) }, "Copy")];

/** Lets people choose the language of the requests, which this browser remembers. */
export function offerLanguages() {
  try {
    const kept = localStorage.getItem(languageKey);
    for (const one of choices) one.checked = one.value === (kept in languages ? kept : "curl");
  } catch {
    // The browser keeps nothing.
  }
  const showAll = () => {
    list.querySelectorAll("li").forEach((one) => one.dispatchEvent(new Event("language")));
    setup.hidden = !(language() in setups);
    if (!setup.hidden) setup.querySelector(".line").replaceChildren(...lineBox(setups[language()]));
  };
  for (const one of choices) one.addEventListener("change", () => {
    showAll();
    try {
      localStorage.setItem(languageKey, one.value);
    } catch {
      // It lasts until the page is loaded again.
    }
  });
  showAll();
}

// show adds a request to the list. One that apps make in production opens, and what was opened by itself before closes.
function show(request, { aside, note }) {
  document.getElementById("nothing").hidden = true;
  if (!aside) list.querySelectorAll("details[data-auto]").forEach((one) => { one.open = false; });
  const status = element("span", { class: "quiet" }, "…");
  const answer = element("pre", {}, "…");
  const line = element("div", { class: "line" });
  const write = () => line.replaceChildren(...lineBox(languages[language()](request)));
  list.prepend(element("li", { language: write }, element("details", { open: !aside, "data-auto": !aside },
    element("summary", {}, element("span", { class: "mono" }, `${request.method} ${request.path.split("?")[0]}`), status),
    note && element("p", { class: "quiet" }, note), line, answer)));
  write();
  return { status, answer };
}

// shorten leaves out the rest of pictures and mails.
const shorten = (name, value) => (typeof value === "string" && (name === "html" || name === "qr") ? value.slice(0, 40) + "…" : value);

/** Forgets the requests of an earlier journey. */
export const clearRequests = () => list.replaceChildren();

/**
 * Sends a request with the key of development mode, or with that of admin, and returns the body of its answer. Throws a Problem.
 * aside: it is shown closed. note: a sentence about it. verify: see lines.js.
 */
export async function call(method, path, body, { admin = false, open = false, aside = false, note, verify } = {}) {
  const withKey = open ? "" : admin ? adminKey : key;
  const shown = show({ method, path, body, key: withKey, verify }, { aside, note });
  const headers = { ...(withKey && { Authorization: `Bearer ${withKey}` }), ...(body && { "Content-Type": "application/json" }) };
  const began = performance.now();
  let response;
  try {
    response = await fetch(path, { method, headers, body: body && JSON.stringify(body), cache: "no-store" });
  } catch (cause) {
    shown.status.textContent = shown.answer.textContent = "no answer";
    throw new Error("The server did not answer. Is it running?", { cause });
  }
  const text = await response.text();
  shown.status.textContent = `${response.status} · ${Math.round(performance.now() - began)} ms`;
  shown.status.className = response.ok ? "good" : "bad";
  const answer = text ? JSON.parse(text) : null;
  shown.answer.textContent = answer ? JSON.stringify(answer, shorten, 2) : "(no body)";
  if (!response.ok) throw new Problem(answer ?? {}, response.status);
  return answer;
}

/** Reads without showing the request. */
export async function read(path) {
  const response = await fetch(path, { cache: "no-store" });
  if (!response.ok) throw new Error(response.statusText);
  return response.json();
}
