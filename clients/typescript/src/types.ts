import type { components, operations } from "./openapi.js";

type Schemas = components["schemas"];
type Json<T> = T extends { content: { "application/json": infer Body } } ? Body : never;
type Request<O extends keyof operations> = operations[O] extends { requestBody?: infer Body } ? Json<NonNullable<Body>> : never;
type Response<O extends keyof operations> = operations[O]["responses"] extends { 200: infer R } | { 201: infer R } ? Json<R> : never;

/** What a start of a challenge takes. */
export type ChallengeCreateParams = Request<"startChallenge">;
/** What a check of a challenge takes. */
export type ChallengeCheckParams = Request<"checkChallenge">;
/** What a resend of a challenge takes. */
export type ChallengeResendParams = Request<"resendChallenge">;
/** What a start of a verification takes. */
export type VerificationCreateParams = Request<"startVerification">;
/** One of the methods of a start of a verification. */
export type MethodParams = Schemas["MethodRequest"];
/** What a check of a verification takes. */
export type VerificationCheckParams = Request<"checkVerification">;
/** What a resend of a verification takes. */
export type VerificationResendParams = Request<"resendVerification">;
/** What opens a method of a verification. */
export type OpenParams = Request<"openMethod">;
/** What collects a receipt that waits. */
export type RedeemParams = Request<"redeemChallenge" | "redeemVerification">;
/** What uses up a receipt. */
export type ReceiptRedeemParams = Request<"redeemReceipt">;
/** What changes a factor. */
export type FactorUpdateParams = Request<"renameFactor">;

/** A challenge without its secrets. */
export type Challenge = Response<"readChallenge" | "resendChallenge" | "cancelChallenge">;
/** A challenge that was started, with its secrets. `ask` says which `public` it has. */
export type StartedChallenge = Response<"startChallenge">;
/** A verification without its secrets, with the challenge of `method` while it is pending. */
export type Verification = Response<"readVerification" | "resendVerification" | "cancelVerification">;
/** A verification that was started and waits for an answer, with its secrets. */
export type PendingVerification = Schemas["PendingVerification"];
/** A verification that was started with the token of a trusted device. If `status` is `approved`, a trusted device has answered it. */
export type StartedVerification = Response<"startVerification">;
/** A verification with the challenge of the method that was opened. */
export type OpenedVerification = Response<"openMethod">;
/** A method that a verification offers. */
export type Method = Schemas["Method"];
/** A right answer to a challenge: the receipt and its claims. */
export type Approved = Response<"checkChallenge" | "redeemChallenge">;
/** A right answer to a verification: the receipt and its claims. */
export type Verified = Response<"checkVerification" | "redeemVerification">;
/** The claims of a receipt. */
export type Claims = Response<"redeemReceipt">;
/** A factor without its secrets. */
export type Factor = Response<"readFactor" | "renameFactor">;
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
