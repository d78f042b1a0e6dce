// Security keys and passkeys in a browser. The options are a challenge's `public`; what is returned is the `answer` to
// check, an object.
//
//   import { register, authenticate, autofill, available } from "/webauthn.js";
//
//   const answer = await register(challenge.public);      // ask: new_key
//   const answer = await authenticate(challenge.public);  // ask: key
//   const answer = await autofill(challenge.public);      // ask: key, of a challenge without a subject
//
// autofill lets the browser offer passkeys in <input autocomplete="username webauthn"> and waits, for as long as the page
// is open, until one is chosen; null where browsers cannot. Whoever calls register or authenticate meanwhile ends the wait:
// it then rejects with an AbortError. A person who says no is a NotAllowedError.

let waiting; // ends an autofill that has no answer yet

/** Whether this browser can use keys at all. */
export const available = () => typeof PublicKeyCredential === "function";

/** Makes a key. */
export async function register(options) {
  waiting?.abort();
  return readCredential(await navigator.credentials.create({ publicKey: creation(options) }));
}

/** Uses a key that the person picks now. */
export async function authenticate(options) {
  waiting?.abort();
  return readCredential(await navigator.credentials.get({ publicKey: request(options) }));
}

/** Uses a passkey that the person picks from the suggestions of a form. */
export async function autofill(options) {
  if (!available() || !(await PublicKeyCredential.isConditionalMediationAvailable?.())) return null;
  waiting?.abort();
  const own = (waiting = new AbortController());
  try {
    const publicKey = request(options);
    return readCredential(await navigator.credentials.get({ publicKey, mediation: "conditional", signal: own.signal }));
  } finally {
    if (waiting === own) waiting = undefined;
  }
}

/** Tells passkey providers which keys are accepted ({rpId, userId, allAcceptedCredentialIds}) or that one is not known
 *  ({rpId, credentialId}), where browsers can. */
export async function signal(what) {
  const method = "credentialId" in what ? "signalUnknownCredential" : "signalAllAcceptedCredentials";
  if (available()) await PublicKeyCredential[method]?.(what);
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
