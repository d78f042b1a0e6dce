import type { components } from "./openapi.js";

type Schemas = components["schemas"];

/** What a start of a challenge takes. */
export type ChallengeCreateParams = Schemas["StartRequest"];
/** What a check of a challenge takes. */
export type ChallengeCheckParams = Schemas["CheckRequest"];
/** What a resend of a challenge takes. */
export type ChallengeResendParams = Schemas["ResendRequest"];
/** What a start of a verification takes. */
export type VerificationCreateParams = Schemas["VerificationRequest"];
/** One of the methods of a start of a verification. */
export type MethodParams = Schemas["MethodRequest"];
/** What a check of a verification takes. */
export type VerificationCheckParams = Schemas["VerificationCheckRequest"];
/** What a resend of a verification takes. */
export type VerificationResendParams = Schemas["VerificationResendRequest"];
/** What opens a method of a verification. */
export type OpenParams = Schemas["OpenRequest"];
/** What collects a receipt that waits. */
export type RedeemParams = Schemas["RedeemRequest"];
/** What uses up a receipt. */
export type ReceiptRedeemParams = Schemas["RedeemReceiptRequest"];
/** What changes a factor. */
export type FactorUpdateParams = Schemas["RenameRequest"];

/** A challenge without its secrets. */
export type Challenge = Schemas["Challenge"];
/** A challenge that was started, with its secrets. `ask` says which `public` it has. */
export type StartedChallenge = Schemas["Started"];
/** A verification without its secrets. */
export type Verification = Schemas["Verification"];
/** A verification that was started and waits for an answer, with its secrets. */
export type PendingVerification = Schemas["PendingVerification"];
/** A verification that was started with the token of a trusted device. If `status` is `approved`, a trusted device has answered it. */
export type StartedVerification = Schemas["StartedVerification"];
/** A verification with the challenge of the method that was opened. */
export type OpenedVerification = Schemas["Opened"];
/** A method that a verification offers. */
export type Method = Schemas["Method"];
/** A right answer to a challenge: the receipt and its claims. */
export type Approved = Schemas["Approved"];
/** A right answer to a verification: the receipt and its claims. */
export type Verified = Schemas["Verified"];
/** The claims of a receipt. */
export type Claims = Schemas["Claims"];
/** A factor without its secrets. */
export type Factor = Schemas["Factor"];
/** The answer of a person: a code, the token of a link, or a credential. */
export type Answer = ChallengeCheckParams["answer"];
/** A credential of a passkey or security key, as JSON. */
export type Credential = Schemas["Credential"];
/** The `public` of `ask: "key"`: options of WebAuthn. */
export type KeyRequestOptions = Schemas["RequestOptions"];
/** The `public` of `ask: "new_key"`: options of WebAuthn. */
export type KeyCreationOptions = Schemas["CreationOptions"];
/** A way to verify. */
export type Strategy = ChallengeCreateParams["strategy"];
/** The body of a problem (RFC 9457). */
export type ProblemBody = Schemas["Problem"];
/** The stable name of a problem. */
export type ProblemCode = ProblemBody["code"];
