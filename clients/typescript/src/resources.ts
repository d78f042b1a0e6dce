import { pause } from "./http.js";
import type { ApiRequest, ProofOptions, RequestOptions, Transport, WriteOptions } from "./http.js";
import type {
  Approved, Challenge, ChallengeCheckParams, ChallengeCreateParams, ChallengeResendParams, Claims, Factor, FactorUpdateParams, OpenedVerification,
  OpenParams, PendingVerification, ReceiptRedeemParams, RedeemParams, StartedChallenge, StartedVerification, Verification, VerificationCheckParams,
  VerificationCreateParams, VerificationResendParams, Verified,
} from "./types.js";

const longestWait = 25; // seconds that one request waits at the server
const readInterval = 1_000; // milliseconds between two requests, at least: a server with too many that wait responds at once

/** Options of reads that can wait. */
export interface RetrieveOptions extends RequestOptions {
  /** Seconds, at most 25: respond as soon as the status is no longer `pending`, or after this time. */
  wait?: number;
}

/** What challenges and verifications have in common. */
abstract class Attempts<Read extends { status: string }, Result, Check, Resend> {
  readonly #path: string;
  readonly #transport: Transport;

  constructor(path: string, transport: Transport) {
    this.#path = path;
    this.#transport = transport;
  }

  protected post<T>(step: string, id: string | undefined, body: unknown, options?: WriteOptions): Promise<T> {
    return this.#transport.send<T>(this.#requestOf(step, id, body), options);
  }

  // Without a receipt, or the factor of an enrolment, nobody is verified.
  #prove(step: "check" | "redeem", id: string, body: unknown, options?: WriteOptions): Promise<Result> {
    const expects = (result: Record<string, unknown>) => result.status === "approved" && Boolean(result.receipt || result.factor);
    return this.#transport.send<Result>({ ...this.#requestOf(step, id, body), expects }, options);
  }

  #requestOf(step: string, id: string | undefined, body: unknown): ApiRequest {
    return { method: "POST", path: id === undefined ? this.#path : `${this.#pathOf(id)}/${step}`, body };
  }

  #pathOf(id: string): string {
    return `${this.#path}/${segment(id)}`;
  }

  /** Reads it. The status is a hint: only a receipt proves. */
  retrieve(id: string, options: RetrieveOptions = {}): Promise<Read> {
    const { wait } = options;
    return this.#transport.send<Read>({ method: "GET", path: this.#pathOf(id), query: { wait }, ...(wait === undefined ? {} : { wait }) }, options);
  }

  /** Waits until it is no longer pending, which takes minutes if nobody answers. Abort it with `signal`. */
  async wait(id: string, options: RequestOptions = {}): Promise<Read> {
    for (;;) {
      const next = Date.now() + readInterval;
      const read = await this.retrieve(id, { ...options, wait: longestWait });
      if (read.status !== "pending") return read;
      await pause(Math.max(0, next - Date.now()), options.signal);
    }
  }

  /** Checks an answer. If it resolves, the person is verified; otherwise it rejects, with an `IncorrectAnswerError` for a wrong answer. */
  check(id: string, params: Check, options?: WriteOptions): Promise<Result> {
    return this.#prove("check", id, params, options);
  }

  /** Collects the receipt of what was answered on a hosted page or by a link. Take `handle` from the session that started it. */
  redeem(id: string, params: RedeemParams, options?: WriteOptions): Promise<Result> {
    return this.#prove("redeem", id, params, options);
  }

  /** Sends the message again. */
  resend(id: string, params?: Resend, options?: WriteOptions): Promise<Read> {
    return this.post<Read>("resend", id, params ?? {}, options);
  }

  /** Cancels it: no answer is accepted any more. */
  cancel(id: string, options?: WriteOptions): Promise<Read> {
    return this.post<Read>("cancel", id, {}, options);
  }
}

/** Verifications: one question, which any of several methods may answer. */
export class Verifications extends Attempts<Verification, Verified, VerificationCheckParams, VerificationResendParams> {
  constructor(transport: Transport) {
    super("/v1/verifications", transport);
  }

  /** Starts a verification. Keep `id` and `handle` in the session of the browser that you serve. */
  create(params: VerificationCreateParams & { device_token?: never }, options?: WriteOptions): Promise<PendingVerification>;
  /** Starts a verification with the token of a trusted device. If `status` is `approved`, the device has answered it. */
  create(params: VerificationCreateParams, options?: WriteOptions): Promise<StartedVerification>;
  create(params: VerificationCreateParams, options?: WriteOptions): Promise<StartedVerification> {
    return this.post<StartedVerification>("", undefined, params, options);
  }

  /** Opens a method: starts its challenge and sends its message. One that is open already is returned as it is. */
  open(id: string, params: OpenParams, options?: WriteOptions): Promise<OpenedVerification> {
    return this.post<OpenedVerification>("open", id, params, options);
  }
}

/** Challenges: one attempt to verify one subject by one strategy. Enrolling a factor is a challenge of purpose `enrol`. */
export class Challenges extends Attempts<Challenge, Approved, ChallengeCheckParams, ChallengeResendParams> {
  constructor(transport: Transport) {
    super("/v1/challenges", transport);
  }

  /** Starts a challenge. Keep `id` and `handle` in the session of the browser that you serve. */
  create(params: ChallengeCreateParams, options?: WriteOptions): Promise<StartedChallenge> {
    return this.post<StartedChallenge>("", undefined, params, options);
  }
}

/** What subjects have enrolled. */
export class Factors {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Lists the factors of a subject, oldest first. */
  async list(params: { subject: string }, options?: RequestOptions): Promise<Factor[]> {
    const { factors } = await this.#transport.send<{ factors: Factor[] }>({ method: "GET", path: "/v1/factors", query: { subject: params.subject } }, options);
    return factors;
  }

  /** Reads a factor. */
  retrieve(id: string, options?: RequestOptions): Promise<Factor> {
    return this.#transport.send<Factor>({ method: "GET", path: `/v1/factors/${segment(id)}` }, options);
  }

  /** Changes the label of a factor. */
  update(id: string, params: FactorUpdateParams, options: ProofOptions = {}): Promise<Factor> {
    return this.#transport.send<Factor>({ method: "PATCH", path: `/v1/factors/${segment(id)}`, body: params, headers: proof(options) }, options);
  }

  /** Removes a factor. */
  remove(id: string, options: ProofOptions = {}): Promise<void> {
    return this.#transport.send<void>({ method: "DELETE", path: `/v1/factors/${segment(id)}`, headers: proof(options) }, options);
  }
}

/** The people, by your own ids. */
export class Subjects {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Removes every factor of a subject, and the open challenges that need one. */
  remove(subject: string, options: ProofOptions = {}): Promise<void> {
    return this.#transport.send<void>({ method: "DELETE", path: `/v1/subjects/${segment(subject)}`, headers: proof(options) }, options);
  }
}

/** Receipts, at the server. To verify one without it, see `verifyReceipt`. */
export class Receipts {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Uses up a receipt and returns its claims, once. Compare subject, nonce and transaction yourself. */
  redeem(params: ReceiptRedeemParams, options?: WriteOptions): Promise<Claims> {
    const expects = (claims: Record<string, unknown>) => typeof claims.jti === "string" && claims.purpose === params.purpose;
    return this.#transport.send<Claims>({ method: "POST", path: "/v1/receipts/redeem", body: params, expects }, options);
  }
}

function proof(options: ProofOptions): Record<string, string> {
  return options.authorization === undefined ? {} : { "Watchword-Authorization": options.authorization };
}

// An id becomes one segment of the path, whatever it holds.
function segment(id: string): string {
  if (typeof id !== "string" || id === "" || id === "." || id === "..") throw new TypeError("watchword: an id is missing");
  return encodeURIComponent(id);
}
