// Security keys and passkeys for the hosted pages. The options are those of the browser, as JSON, and the result is an answer.
// The pages load no files of a strategy, so the second half is a copy of code of the ES module for apps; a test compares them.

// The errors of a browser, and the attributes with their texts.
const refusals = new Map([["NotAllowedError", "refused"], ["InvalidStateError", "twice"], ["NotSupportedError", "missing"]]);

// askForKey asks the browser for the credential of a form, which requires a click, and returns it as an answer. The signal aborts it.
// After an error the form says what happened, and the person can try again; nothing is returned.
export async function askForKey(form, signal) {
  if (form.ariaBusy === "true") return undefined;
  const button = form.querySelector("button");
  button.disabled = true;
  form.ariaBusy = "true";
  button.textContent = form.dataset.waits;
  try {
    return await credential(form.dataset.key, JSON.parse(form.dataset.options), signal);
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
    return undefined;
  }
}

// credential adds a key ("create") or uses one ("get").
async function credential(what, options, signal) {
  if (!window.PublicKeyCredential) throw new DOMException("no keys here", "NotSupportedError");
  const publicKey = what === "create" ? creation(options) : request(options);
  return readCredential(await navigator.credentials[what]({ publicKey, signal }));
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
