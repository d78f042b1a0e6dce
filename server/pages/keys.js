// Security keys and passkeys for the hosted pages and the element. The options are those of the browser, as JSON, and the result is
// an answer. The pages load no files of a strategy, so the second half is a copy of code of the ES module for apps; a test compares
// them.

// The errors of a browser, and the attributes with their texts.
const refusals = new Map([["NotAllowedError", "refused"], ["InvalidStateError", "twice"], ["NotSupportedError", "missing"]]);

// While a request could not be renewed, it is tried again after so many milliseconds.
const renewalPause = 15000;

// controlKey lets the form of a key work, which sends its answer with `send`:
//   use(asked)  asks the browser for the key, which requires a click, or takes the one that it has been asked for already
//   stop()      ends everything
// A key's challenge lives for minutes only. Where data-renew has the seconds until then, it is replaced in time, so that the
// form works as long as it is shown. `show` shows what there is instead if it cannot.
export function controlKey(form, { send, post, show, removeError }) {
  const button = form.querySelector("button");
  const values = () => Object.fromEntries(new FormData(form));
  let asking = null; // aborts what the browser is asked
  let timer = 0;
  let renewAt = Infinity;
  let stopped = false;

  async function ask({ asked, mediation }) {
    asking?.abort();
    asking = new AbortController();
    const { signal } = asking;
    const key = await (asked ?? credential(form.dataset.key, JSON.parse(form.dataset.options), signal, mediation));
    signal.throwIfAborted();
    send("answer", { ...values(), answer: readCredential(key) });
  }

  // use shows an error where the person can try again.
  async function use(asked) {
    if (stopped || form.ariaBusy) return;
    button.disabled = true;
    form.ariaBusy = "true";
    button.textContent = form.dataset.waits;
    removeError();
    try {
      if (!asked && Date.now() >= renewAt) await renewNow(); // the timer is late after the computer has slept
      await ask({ asked });
    } catch (e) {
      showRefusal(refusals.get(e?.name) ?? "failed");
    }
  }

  function showRefusal(reason) {
    if (stopped) return;
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
    if (Date.now() >= renewAt) renewSoon();
    else suggest();
  }

  // suggest lets the browser suggest passkeys in the field of a sign-in form on this page, <input autocomplete="username webauthn">.
  async function suggest() {
    if (form.dataset.key !== "get" || !document.querySelector("input[autocomplete~=webauthn]")) return;
    try {
      if (JSON.parse(form.dataset.options).allowCredentials?.length) return; // the owner is known
      if ((await PublicKeyCredential.isConditionalMediationAvailable?.()) && !stopped && !form.ariaBusy) await ask({ mediation: "conditional" });
    } catch {
      // Nothing was chosen. The button remains.
    }
  }

  function plan() {
    const left = Number(form.dataset.renew ?? 0) * 1000;
    renewAt = left ? Date.now() + left : Infinity;
    clearTimeout(timer);
    if (left) timer = setTimeout(renewSoon, left);
  }

  // renewNow replaces the options.
  async function renewNow() {
    const fresh = await (await post("renew", { method: values().method })).json();
    if (stopped) return;
    if (fresh.html) show(fresh);
    if (!fresh.options) throw new Error("not renewed");
    Object.assign(form.dataset, fresh);
    plan();
  }

  // renewSoon replaces the options unless the person is using the key: the challenge that they have lives a little longer.
  async function renewSoon() {
    if (form.ariaBusy) return;
    try {
      await renewNow();
      suggest();
    } catch {
      if (!stopped) timer = setTimeout(renewSoon, renewalPause);
    }
  }

  function stop() {
    stopped = true;
    clearTimeout(timer);
    asking?.abort();
  }

  plan();
  suggest();
  return { use, stop };
}

let last = null; // the request before: a browser has one at a time, and needs a moment to abort it

// credential adds a key ("create") or uses one ("get"). The signal aborts it, also where an extension ignores signals.
async function credential(what, options, signal, mediation) {
  if (!window.PublicKeyCredential) throw new DOMException("no keys here", "NotSupportedError");
  const publicKey = what === "create" ? creation(options) : request(options);
  await Promise.race([last, new Promise((resolve) => setTimeout(resolve, 500))]);
  signal.throwIfAborted();
  const asked = Promise.resolve(navigator.credentials[what]({ publicKey, signal, mediation }));
  last = asked.catch(() => {});
  return asked;
}

// What follows does by hand what browsers before Level 3 lack, and what extensions get wrong: a password manager may put an
// object of its own in place of the browser's, whose inherited methods and accessors throw. So an answer is built from the
// credential's fields, none of which is taken for granted.

const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const listed = (keys) => keys?.map((key) => ({ ...key, id: bytes(key.id) }));

function creation(o) {
  if (PublicKeyCredential.parseCreationOptionsFromJSON) return PublicKeyCredential.parseCreationOptionsFromJSON(o);
  const user = { ...o.user, id: bytes(o.user.id) };
  return { ...o, user, challenge: bytes(o.challenge), excludeCredentials: listed(o.excludeCredentials) };
}

function request(o) {
  if (PublicKeyCredential.parseRequestOptionsFromJSON) return PublicKeyCredential.parseRequestOptionsFromJSON(o);
  return { ...o, challenge: bytes(o.challenge), allowCredentials: listed(o.allowCredentials) };
}

function attempt(read) {
  try {
    return read();
  } catch {
    return undefined;
  }
}

// base64url spells a buffer, or what is spelled already.
function base64url(value) {
  if (typeof value !== "string") {
    const octets = ArrayBuffer.isView(value) ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength) : new Uint8Array(value);
    value = btoa(Array.from(octets, (o) => String.fromCharCode(o)).join(""));
  }
  return value.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

function readCredential(key) {
  const id = base64url(attempt(() => key.rawId) || key.id);
  const response = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    const value = attempt(() => key.response[name]);
    if (value) response[name] = base64url(value);
  }
  const transports = attempt(() => key.response.getTransports());
  if (Array.isArray(transports)) response.transports = transports.filter((t) => typeof t === "string");
  return { id, rawId: id, type: "public-key", response };
}
