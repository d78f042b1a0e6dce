export { Watchword, type WatchwordOptions } from "./client.js";
export * from "./errors.js";
export { eventTypes, verifyEvent, type EventRequest, type EventType, type VerifyEventOptions, type WatchwordEvent } from "./events.js";
export type { ProofOptions, RequestOptions, WriteOptions } from "./http.js";
export * from "./problems.js";
export { ReceiptVerifier, type ExpectedPerson, type ReceiptExpectation, type ReceiptVerifierOptions } from "./receipt.js";
export type { RetrieveOptions, Challenges, Factors, Receipts, Subjects, Verifications } from "./resources.js";
export type * from "./types.js";
