import { WatchwordError, type Retry } from "./errors.js";
import type { problemCodes } from "./openapi.js";
import type { ProblemBody, ProblemCode } from "./types.js";

/** A field of a request that is wrong, and why. */
export type FieldProblem = NonNullable<ProblemBody["errors"]>[number];

/** A refusal by the server (RFC 9457). Its subclasses are one for each `code`; {@link Problem} is the union of them. */
export abstract class ProblemError extends WatchwordError {
  /** The stable name. */
  abstract readonly code: ProblemCode;
  /** The HTTP status. */
  readonly status: number;
  /** The URL of a page that explains the problem. */
  readonly type: string;
  /** What is wrong with this request, for people. */
  readonly detail: string | undefined;
  /** The id of the request in the server's log. */
  readonly requestId: string | undefined;
  override readonly retryAfter: number | undefined;

  constructor(
    /** The whole body of the response. */
    readonly body: ProblemBody,
    headers: Headers,
  ) {
    super(describe(body));
    this.status = body.status;
    this.type = body.type;
    this.detail = body.detail;
    this.requestId = headers.get("X-Request-Id") ?? undefined;
    const seconds = Number(headers.get("Retry-After") ?? NaN);
    this.retryAfter = seconds >= 0 ? seconds : undefined;
  }
}

function describe(body: ProblemBody): string {
  const fields = body.errors?.map((e) => `${e.field} ${e.reason}`).join("; ");
  return [`${body.code}: ${body.title}`, fields, body.detail].filter(Boolean).join(". ");
}

/** A limit was reached: try again after `retryAfter` seconds. */
abstract class TemporaryRefusal extends ProblemError {
  declare readonly retryAfter: number;
}

/** A field is missing, unknown, of the wrong type or out of range; `errors` names each. Nothing was charged or sent. */
export class InvalidRequestError extends ProblemError {
  readonly code = "invalid_request";
  readonly errors: FieldProblem[] = this.body.errors ?? [];
}
/** The server has no such path: `baseUrl` is wrong. */
export class NotFoundError extends ProblemError {
  readonly code = "not_found";
}
/** The path does not support this method. */
export class MethodNotAllowedError extends ProblemError {
  readonly code = "method_not_allowed";
}
/** The idempotency key was used with another body. */
export class IdempotencyMismatchError extends ProblemError {
  readonly code = "idempotency_mismatch";
}
/** The first request with this idempotency key has no response yet. */
export class IdempotencyInFlightError extends ProblemError {
  readonly code = "idempotency_in_flight";
  override readonly retry: Retry = "in-flight";
}
/** The API key is missing or unknown. */
export class UnauthorizedError extends ProblemError {
  readonly code = "unauthorized";
}
/** The API key does not have the scope. */
export class ForbiddenError extends ProblemError {
  readonly code = "forbidden";
}
/** No challenge with this id, or the handle is wrong. */
export class UnknownChallengeError extends ProblemError {
  readonly code = "unknown_challenge";
}
/** No verification with this id, or the handle is wrong. */
export class UnknownVerificationError extends ProblemError {
  readonly code = "unknown_verification";
}
/** The verification does not offer this method. */
export class UnknownMethodError extends ProblemError {
  readonly code = "unknown_method";
}
/** The challenge is part of a verification: use `watchword.verifications`. */
export class PartOfVerificationError extends ProblemError {
  readonly code = "part_of_verification";
}
/** No factor with this id. */
export class UnknownFactorError extends ProblemError {
  readonly code = "unknown_factor";
}
/** The answer is wrong, or purpose, subject or transaction are not those of the start. */
export class IncorrectAnswerError extends ProblemError {
  readonly code = "incorrect_answer";
  /** The number of tries left. */
  readonly attemptsRemaining: number = this.body.attempts_remaining ?? 0;
  /** What the strategy found out, such as `clock_offset_seconds`. */
  readonly details: Record<string, unknown> = this.body.details ?? {};
}
/** All tries have been used: start again. */
export class AttemptsExhaustedError extends ProblemError {
  readonly code = "attempts_exhausted";
}
/** The answer came too late: start again. */
export class ChallengeExpiredError extends ProblemError {
  readonly code = "challenge_expired";
}
/** It was canceled: start again. */
export class ChallengeCanceledError extends ProblemError {
  readonly code = "challenge_canceled";
}
/** It is approved already. */
export class ChallengeApprovedError extends ProblemError {
  readonly code = "challenge_approved";
}
/** It is still pending: there is no receipt to collect. */
export class NotAnsweredError extends ProblemError {
  readonly code = "not_answered";
}
/** The return code is missing, wrong or older than 60 seconds. */
export class ReturnCodeInvalidError extends ProblemError {
  readonly code = "return_code_invalid";
}
/** The subject has no factor for this, or no method is left. */
export class NotEnrolledError extends ProblemError {
  readonly code = "not_enrolled";
}
/** The factor is disabled after too many wrong answers. */
export class FactorDisabledError extends ProblemError {
  readonly code = "factor_disabled";
}
/** The change of a factor needs a receipt of purpose `manage_factors`. */
export class ProofRequiredError extends ProblemError {
  readonly code = "proof_required";
}
/** The server sends no messages to this address; `reason` says why. */
export class DestinationRefusedError extends ProblemError {
  readonly code = "destination_refused";
  /** `country`, `line_type`, `prefix` or `blocked`. */
  readonly reason: string | undefined = this.body.reason;
}
/** A limit has been reached; `limit` is its name. */
export class RateLimitedError extends TemporaryRefusal {
  readonly code = "rate_limited";
  readonly limit: string | undefined = this.body.limit;
}
/** Too many wrong answers for this address or factor. */
export class TooManyGuessesError extends TemporaryRefusal {
  readonly code = "too_many_guesses";
}
/** The message cannot be sent again yet. */
export class ResendTooSoonError extends TemporaryRefusal {
  readonly code = "resend_too_soon";
}
/** All messages have been sent. The code of the last one still works. */
export class SendsExhaustedError extends ProblemError {
  readonly code = "sends_exhausted";
}
/** The receipt has been used already. */
export class ReceiptUsedError extends ProblemError {
  readonly code = "receipt_used";
}
/** The server refused the receipt. */
export class ReceiptInvalidError extends ProblemError {
  readonly code = "receipt_invalid";
}
/** The server failed; its log has `requestId`. */
export class InternalServerError extends ProblemError {
  readonly code = "internal_error";
}
/** A store of the server is unavailable. */
export class UnavailableError extends ProblemError {
  readonly code = "unavailable";
  /** The operation may have taken effect: repeat the call with the same `idempotencyKey`. */
  readonly outcomeUnknown: boolean = this.body.outcome === "unknown";
  override readonly retry: Retry = this.outcomeUnknown ? "unknown" : "nothing-happened";
}

const classes = {
  invalid_request: InvalidRequestError,
  not_found: NotFoundError,
  method_not_allowed: MethodNotAllowedError,
  idempotency_mismatch: IdempotencyMismatchError,
  idempotency_in_flight: IdempotencyInFlightError,
  unauthorized: UnauthorizedError,
  forbidden: ForbiddenError,
  unknown_challenge: UnknownChallengeError,
  unknown_verification: UnknownVerificationError,
  unknown_method: UnknownMethodError,
  part_of_verification: PartOfVerificationError,
  unknown_factor: UnknownFactorError,
  incorrect_answer: IncorrectAnswerError,
  attempts_exhausted: AttemptsExhaustedError,
  challenge_expired: ChallengeExpiredError,
  challenge_canceled: ChallengeCanceledError,
  challenge_approved: ChallengeApprovedError,
  not_answered: NotAnsweredError,
  return_code_invalid: ReturnCodeInvalidError,
  not_enrolled: NotEnrolledError,
  factor_disabled: FactorDisabledError,
  proof_required: ProofRequiredError,
  destination_refused: DestinationRefusedError,
  rate_limited: RateLimitedError,
  too_many_guesses: TooManyGuessesError,
  resend_too_soon: ResendTooSoonError,
  sends_exhausted: SendsExhaustedError,
  receipt_used: ReceiptUsedError,
  receipt_invalid: ReceiptInvalidError,
  internal_error: InternalServerError,
  unavailable: UnavailableError,
} satisfies { [C in ProblemCode]: new (body: ProblemBody, headers: Headers) => ProblemError & { code: C } };

/** The problems of the server, one class for each `code`. */
export type Problem = InstanceType<(typeof classes)[ProblemCode]>;

/** Whether an error is a refusal by the server. `switch (error.code)` then knows the members of each. */
export function isProblem(error: unknown): error is Problem {
  return error instanceof ProblemError;
}

/** Problems of wrong programs, configurations and servers that are down: no person can do anything about them. */
const general = {
  invalid_request: true, not_found: true, method_not_allowed: true, idempotency_mismatch: true, idempotency_in_flight: true,
  unauthorized: true, forbidden: true, internal_error: true, unavailable: true,
} satisfies { [C in ProblemCode]?: true };

/** The operations by the names of the OpenAPI document, such as `checkVerification`. */
export type Operation = keyof problemCodes;

/** The problems of an operation that an app handles one by one: those of every operation are left out. */
export type ProblemOf<O extends Operation> = Extract<Problem, { code: Exclude<problemCodes[O], keyof typeof general> }>;

/**
 * Whether an error is one of the problems that are particular to an operation. It is false for problems of every operation, such as
 * `unauthorized`, `invalid_request` and `unavailable`; throw those again.
 */
export function isProblemOf<O extends Operation>(_operation: O, error: unknown): error is ProblemOf<O> {
  return isProblem(error) && !(error.code in general);
}

/** Ends a `switch` over the codes of a problem. It does not compile if a code is missing, and throws the problem. */
export function unhandled(problem: never): never {
  throw problem;
}

/** Returns the problem of a response; undefined if the body is none, or has a code that this version does not know. */
export function newProblem(body: unknown, response: Response): Problem | undefined {
  if (!isProblemBody(body)) return undefined;
  return new classes[body.code](body, response.headers);
}

function isProblemBody(body: unknown): body is ProblemBody {
  if (typeof body !== "object" || body === null || !("code" in body) || typeof body.code !== "string") return false;
  return Object.hasOwn(classes, body.code) && (!("errors" in body) || Array.isArray(body.errors));
}
