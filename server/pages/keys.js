// Security keys and passkeys for the hosted pages. The options are those of the browser, as JSON, and the result is an answer.
// The pages load no files of a strategy, so the second half is a copy of code of the ES module for apps; a test compares them.

// credential adds a key ("create") or uses one ("get"). The signal aborts it.
export async function credential(what, options, signal) {
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
