import type { Credential, KeyCreationOptions, KeyRequestOptions } from "./types.js";

/** Whether this browser supports security keys and passkeys. */
export function available(): boolean;

/**
 * Creates a key (`ask: "new_key"`) from the `public` of a challenge. It resolves to the `answer` of the check, and rejects with a
 * `NotAllowedError` if the person cancels.
 */
export function register(options: KeyCreationOptions): Promise<Credential>;

/**
 * Asks the person to use a key now (`ask: "key"`). It resolves to the `answer` of the check, and rejects with a `NotAllowedError` if the
 * person cancels.
 */
export function authenticate(options: KeyRequestOptions): Promise<Credential>;

/**
 * Waits for a passkey that the person picks from the suggestions of `<input autocomplete="username webauthn">`. It resolves to the
 * `answer` of the check, or to null in browsers without this feature. Calling `register` or `authenticate` rejects it with an `AbortError`.
 */
export function autofill(options: KeyRequestOptions): Promise<Credential | null>;

/** Signals the accepted keys, or an unknown key, to passkey providers, if the browser supports it. */
export function signal(what: { rpId: string; userId: string; allAcceptedCredentialIds: string[] } | { rpId: string; credentialId: string }): Promise<void>;
