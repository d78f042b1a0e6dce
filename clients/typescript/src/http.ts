import { newProblem } from "./problems.js";
import { ConnectionError, RequestTimeoutError, UnexpectedResponseError, WatchwordError } from "./errors.js";

/** Options of every call. */
export interface RequestOptions {
  /** Aborts the call, the waits between its tries included. */
  signal?: AbortSignal;
  /** Milliseconds for each try, instead of those of the client. */
  timeout?: number;
  /** How often a failed try is repeated, instead of the number of the client. */
  maxRetries?: number;
}

/** Options of calls that change something. */
export interface WriteOptions extends RequestOptions {
  /** The Idempotency-Key: 1 to 255 visible ASCII characters. The default is a random one, the same for every try of this call. */
  idempotencyKey?: string;
}

/** Options of changes of factors. */
export interface ProofOptions extends RequestOptions {
  /** A receipt of purpose `manage_factors` for the same subject, at most five minutes old. */
  authorization?: string;
}

/** A request to the server. */
export interface ApiRequest {
  method: "GET" | "POST" | "PATCH" | "DELETE";
  path: string;
  query?: Record<string, string | number | undefined>;
  body?: unknown;
  headers?: Record<string, string>;
  /** Seconds that the server may wait before it answers; added to the time-out. */
  wait?: number;
}

/** What the transport needs of the client's options. */
export interface TransportOptions {
  apiKey: string;
  baseUrl: string;
  timeout: number;
  maxRetries: number;
  fetch: typeof fetch;
  userAgent: string;
}

const firstDelay = 250; // milliseconds
const longestDelay = 4_000;
const longestRetryAfter = 5; // seconds; a server that asks for more is not waited for

// While the server still answers an earlier try of the call, the next one waits for it. It answers after 10 seconds at most, and what
// a server that ended has left unanswered is taken over after 12.
const longestInFlight = 15_000;
const longestInFlightDelay = 1_000;

/** Sends requests to the server, and repeats those whose repetition has no further effect. */
export class Transport {
  readonly #options: TransportOptions;

  constructor(options: TransportOptions) {
    this.#options = options;
  }

  /** Sends a request and returns the JSON of its response; undefined if the response has no body. */
  async send<T>(request: ApiRequest, options: WriteOptions = {}): Promise<T> {
    const headers = this.#headers(request, options);
    const repetitions = new Repetitions(request, options.maxRetries ?? this.#options.maxRetries);
    for (;;) {
      try {
        return await this.#try<T>(request, headers, options);
      } catch (error) {
        const delay = repetitions.delayAfter(error);
        if (delay === undefined) throw error;
        await pause(delay, options.signal);
      }
    }
  }

  #headers(request: ApiRequest, options: WriteOptions): Headers {
    const headers = new Headers({ Authorization: `Bearer ${this.#options.apiKey}`, Accept: "application/json", "User-Agent": this.#options.userAgent, ...request.headers });
    if (request.body !== undefined) headers.set("Content-Type", "application/json");
    if (request.method === "POST") headers.set("Idempotency-Key", options.idempotencyKey ?? crypto.randomUUID());
    return headers;
  }

  async #try<T>(request: ApiRequest, headers: Headers, options: RequestOptions): Promise<T> {
    const timeout = AbortSignal.timeout((options.timeout ?? this.#options.timeout) + (request.wait ?? 0) * 1_000);
    const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout;
    let response: Response, text: string;
    try {
      response = await this.#options.fetch(this.#url(request), {
        method: request.method,
        headers,
        redirect: "manual",
        signal,
        ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
      });
      text = await response.text();
    } catch (error) {
      options.signal?.throwIfAborted();
      throw translateFailure(error, request, timeout);
    }
    return readResponse<T>(request, response, text);
  }

  #url(request: ApiRequest): string {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(request.query ?? {})) {
      if (value !== undefined) query.set(name, String(value));
    }
    const text = query.toString();
    return this.#options.baseUrl + request.path + (text && `?${text}`);
  }
}

function translateFailure(error: unknown, request: ApiRequest, timeout: AbortSignal): WatchwordError {
  const what = `${request.method} ${request.path}`;
  if (timeout.aborted) return new RequestTimeoutError(`${what}: no response in time`, { cause: error });
  return new ConnectionError(`${what}: the server cannot be reached`, { cause: error });
}

function readResponse<T>(request: ApiRequest, response: Response, text: string): T {
  const requestId = response.headers.get("X-Request-Id") ?? undefined;
  if (response.status === 204) return undefined as T;
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw new UnexpectedResponseError(request.method, request.path, response.status, text, requestId);
  }
  if (response.ok) return body as T;
  throw newProblem(body, response) ?? new UnexpectedResponseError(request.method, request.path, response.status, text, requestId);
}

/** Decides whether one call is repeated. */
class Repetitions {
  readonly #request: ApiRequest;
  readonly #retries: number;
  #failures = 0;
  #inFlight = 0; // responses with that code
  #inFlightUntil: number | undefined;

  constructor(request: ApiRequest, retries: number) {
    this.#request = request;
    this.#retries = retries;
  }

  /** Returns the milliseconds to wait before the next try; undefined if there is none. */
  delayAfter(error: unknown): number | undefined {
    if (error instanceof WatchwordError && error.retry === "in-flight" && isSafe(this.#request) && this.#retries > 0) {
      this.#inFlightUntil ??= Date.now() + longestInFlight;
      const delay = delayBefore(this.#inFlight++, longestInFlightDelay, error);
      return Date.now() + delay <= this.#inFlightUntil ? delay : undefined;
    }
    if (this.#failures >= this.#retries || !isRepeatable(this.#request, error)) return undefined;
    return delayBefore(this.#failures++, longestDelay, error);
  }
}

// A POST has an Idempotency-Key, so it is repeated after every temporary failure, and a GET changes nothing. PATCH and DELETE spend
// their proof, so they are repeated only if nothing can have happened.
function isRepeatable(request: ApiRequest, error: unknown): boolean {
  if (error instanceof WatchwordError && error.retry === "nothing-happened") return true;
  return isSafe(request) && error instanceof WatchwordError && error.retry === "unknown";
}

function isSafe(request: ApiRequest): boolean {
  return request.method === "POST" || request.method === "GET";
}

function delayBefore(tries: number, longest: number, error: unknown): number {
  const asked = error instanceof WatchwordError ? error.retryAfter : undefined;
  if (asked !== undefined) return Math.min(asked, longestRetryAfter) * 1_000;
  const delay = Math.min(firstDelay * 2 ** tries, longest);
  return delay * (0.5 + Math.random() / 2);
}

async function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", abort, { once: true });
  });
}
