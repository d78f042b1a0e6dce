// Sends requests to the API and shows each of them as a command to paste, with its answer.

const { key, adminKey } = document.body.dataset;
const list = document.getElementById("requests");
const origin = location.origin;

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

const quote = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

// spaced writes JSON on one line, as documents show it.
const spaced = (value) => JSON.stringify(value, null, 1).replaceAll(/\n\s*/g, (_, at, all) => ("]}".includes(all[at + _.length]) || "[{".includes(all[at - 1]) ? "" : " "));

function curl(method, path, body, withKey) {
  let line = `curl -sS ${origin}${path}`;
  if (path.includes("?")) line = `curl -sS ${quote(origin + path)}`;
  if (method !== "GET" && !(method === "POST" && body)) line += ` -X ${method}`;
  if (withKey) line += ` \\\n  -H 'Authorization: Bearer ${withKey}'`;
  if (body) line += ` -H 'Content-Type: application/json' \\\n  -d ${quote(spaced(body))}`;
  return line;
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

// show adds a request to the list, opened. What was opened by itself before closes.
function show(method, path, command) {
  document.getElementById("nothing").hidden = true;
  list.querySelectorAll("details[data-auto]").forEach((one) => { one.open = false; });
  const status = element("span", { class: "quiet" }, "…");
  const answer = element("pre", {}, "…");
  list.prepend(element("li", {}, element("details", { open: true, "data-auto": true },
    element("summary", {}, element("span", { class: "mono" }, `${method} ${path.split("?")[0]}`), status),
    element("div", { class: "curl" }, element("pre", {}, command), element("button", { type: "button", click: () => copy(command) }, "Copy")),
    answer)));
  return { status, answer };
}

// shorten leaves out the rest of pictures and mails.
const shorten = (name, value) => (typeof value === "string" && (name === "html" || name === "qr") ? value.slice(0, 40) + "…" : value);

/** Forgets the requests of an earlier journey. */
export const clearRequests = () => list.replaceChildren();

/** Sends a request with the key of development mode, or with that of admin, and returns the body of its answer. Throws a Problem. */
export async function call(method, path, body, { admin = false, open = false } = {}) {
  const withKey = open ? "" : admin ? adminKey : key;
  const shown = show(method, path, curl(method, path, body, withKey));
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
