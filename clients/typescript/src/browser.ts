// For browsers: passkeys and security keys. Nothing here knows the API key.
export { authenticate, autofill, available, register, signal } from "./webauthn.js";
export type { Credential, KeyCreationOptions, KeyRequestOptions } from "./types.js";
