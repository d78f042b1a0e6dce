// For browsers: passkeys and security keys, and the element. Nothing here knows the API key.
export { authenticate, autofill, available, register, signal } from "./webauthn.js";
export type { Credential, KeyCreationOptions, KeyRequestOptions } from "./types.js";
export {
  loadElement, type ApprovedDetail, type EndedDetail, type ErrorDetail, type VerificationAttributes, type VerificationEvents, type WatchwordVerificationElement,
} from "./element.js";
