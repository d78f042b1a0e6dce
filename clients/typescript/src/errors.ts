/**
 * Whether a request may be repeated after an error: never, only where a repetition has no further effect, always, or while the server
 * still answers an earlier try of the same call.
 */
export type Retry = "no" | "unknown" | "nothing-happened" | "in-flight";

/** The class of every error of this package, but for `TypeError`s about wrong arguments and the reason of an aborted `AbortSignal`. */
export class WatchwordError extends Error {
  /** Seconds to wait before another try, if the server named some. */
  readonly retryAfter: number | undefined = undefined;
  /** Whether the client repeats the request. */
  readonly retry: Retry = "no";

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** No connection, or it broke before the response was complete. What became of the request is unknown. */
export class ConnectionError extends WatchwordError {
  override readonly retry: Retry = "unknown";
}

/** No response within the time-out. What became of the request is unknown. */
export class RequestTimeoutError extends WatchwordError {
  override readonly retry: Retry = "unknown";
}

/** A response that is none of watchword's, for example the page of a proxy. */
export class UnexpectedResponseError extends WatchwordError {
  override readonly retry: Retry;
  /** The text of the response. Logs of this error do not show it, because it may hold secrets. */
  declare readonly body: string;

  constructor(
    method: string,
    path: string,
    /** The HTTP status. */
    readonly status: number,
    body: string,
    readonly requestId: string | undefined,
  ) {
    super(`${method} ${path}: unexpected response with status ${status}`);
    Object.defineProperty(this, "body", { value: body }); // not enumerable, so not in logs
    this.retry = [502, 503, 504].includes(status) ? "unknown" : "no";
  }
}

/** A receipt that is not genuine, not valid now, or about something else than expected. The message quotes nothing of it. */
export class InvalidReceiptError extends WatchwordError {}

/** The public keys of the server could not be fetched, so the receipt could not be verified. */
export class KeysUnavailableError extends WatchwordError {}

/** A request that is no event of the server: the signature is wrong, or it is too old. Answer it with 400. */
export class InvalidEventError extends WatchwordError {}
