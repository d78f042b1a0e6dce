import { longestBody, readBody } from "./bytes.js";
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
  /** Whether a response is one of this request. Another server that answers everything with 200 must verify nobody. */
  expects?: (body: Record<string, unknown>) => boolean;
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
    const headers = new Headers({ Authorization: `Bearer ${this.#options.apiKey}`, Accept: "application/json", "User-Agent": this.#options.userAgent });
    for (const [name, value] of Object.entries(request.headers ?? {})) setHeader(headers, name, value);
    if (request.body !== undefined) headers.set("Content-Type", "application/json");
    if (request.method === "POST") setHeader(headers, "Idempotency-Key", options.idempotencyKey ?? crypto.randomUUID());
    return headers;
  }

  async #try<T>(request: ApiRequest, headers: Headers, options: RequestOptions): Promise<T> {
    const timeout = AbortSignal.timeout((options.timeout ?? this.#options.timeout) + (request.wait ?? 0) * 1_000);
    const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout;
    let response: Response, body: Uint8Array | undefined;
    try {
      response = await this.#options.fetch(this.#url(request), {
        method: request.method,
        headers,
        redirect: "manual",
        signal,
        ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
      });
      body = await readBody(response);
    } catch (error) {
      options.signal?.throwIfAborted();
      throw translateFailure(error, request, timeout);
    }
    return readResponse<T>(request, response, body);
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

function readResponse<T>(request: ApiRequest, response: Response, bytes: Uint8Array | undefined): T {
  const text = bytes === undefined ? `more than ${longestBody} bytes` : new TextDecoder().decode(bytes);
  const body = bytes && parseJSON(text);
  if (response.ok && isExpected(request, response.status, body)) return body as T;
  const problem = response.ok ? undefined : newProblem(body, response);
  throw problem ?? new UnexpectedResponseError(request.method, request.path, response.status, text, response.headers.get("X-Request-Id") ?? undefined);
}

function parseJSON(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

// Only what the server answers to this request counts as its success: 204 to a DELETE, and an object to all else.
function isExpected(request: ApiRequest, status: number, body: unknown): boolean {
  if (request.method === "DELETE") return status === 204;
  if (typeof body !== "object" || body === null || Array.isArray(body)) return false;
  return request.expects?.(body as Record<string, unknown>) ?? true;
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

/** Waits, until the signal aborts. */
export async function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
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

// The error of the platform quotes the value, which may be a receipt.
function setHeader(headers: Headers, name: string, value: string): void {
  if (!isHeaderValue(value)) throw new TypeError(`watchword: ${name} has other characters than visible ASCII ones`);
  headers.set(name, value);
}

/** Whether a text can be sent in a header: printable ASCII, without line breaks. */
export function isHeaderValue(text: string): boolean {
  return /^[ -~]*$/.test(text);
}
