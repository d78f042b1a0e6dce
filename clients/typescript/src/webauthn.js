// Security keys and passkeys in a browser. The options are the `public` of a challenge. The functions return the `answer` for
// the check, an object.
//
//   import { register, authenticate, autofill, available } from "/webauthn.js";
//
//   const answer = await register(challenge.public);      // ask: new_key
//   const answer = await authenticate(challenge.public);  // ask: key
//   const answer = await autofill(challenge.public);      // ask: key, of a challenge without a subject
//
// autofill lets the browser suggest passkeys in <input autocomplete="username webauthn">. Its promise is pending until the
// person chooses one, and resolves to null in browsers without this feature. Calling register or authenticate rejects it
// with an AbortError. If the person cancels, the functions reject with a NotAllowedError.

let pendingAutofill; // the AbortController of an autofill that has no answer yet

/** Whether this browser supports security keys and passkeys. */
export const available = () => typeof PublicKeyCredential === "function";

/** Creates a key. */
export async function register(options) {
  pendingAutofill?.abort();
  return readCredential(await navigator.credentials.create({ publicKey: creation(options) }));
}

/** Asks the person to use a key now. */
export async function authenticate(options) {
  pendingAutofill?.abort();
  return readCredential(await navigator.credentials.get({ publicKey: request(options) }));
}

/** Waits for a passkey that the person picks from the suggestions of a form. */
export async function autofill(options) {
  if (!available() || !(await PublicKeyCredential.isConditionalMediationAvailable?.())) return null;
  pendingAutofill?.abort();
  const controller = (pendingAutofill = new AbortController());
  try {
    const publicKey = request(options);
    return readCredential(await navigator.credentials.get({ publicKey, mediation: "conditional", signal: controller.signal }));
  } finally {
    if (pendingAutofill === controller) pendingAutofill = undefined;
  }
}

/** Signals the accepted keys ({rpId, userId, allAcceptedCredentialIds}) or an unknown key ({rpId, credentialId}) to passkey
 *  providers, if the browser supports it. */
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
