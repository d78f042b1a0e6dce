// Security keys and passkeys for the hosted pages. A part brings the browser's own options, as JSON; what comes back is an
// answer. The pages know no strategy and load nothing of one, so the second half stands in the ES module for apps too; a test
// keeps the two alike.

// credential makes a key ("create") or uses one ("get"), and ends when signal says so.
export async function credential(what, options, signal) {
  if (!window.PublicKeyCredential) throw new DOMException("no keys here", "NotSupportedError");
  const publicKey = what === "create" ? creation(options) : request(options);
  return toJSON(await navigator.credentials[what]({ publicKey, signal }));
}

// What follows does by hand what browsers before Level 3 lack.

const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
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

function toJSON(key) {
  if (key.toJSON) return key.toJSON();
  const response = { transports: key.response.getTransports?.() };
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"])
    if (key.response[name]) response[name] = text(key.response[name]);
  const { id, type, authenticatorAttachment } = key;
  return { id, rawId: id, type, response, authenticatorAttachment, clientExtensionResults: key.getClientExtensionResults() };
}
