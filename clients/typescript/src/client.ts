import { verifyEvent, type EventRequest, type WatchwordEvent } from "./events.js";
import { isHeaderValue, Transport } from "./http.js";
import { ReceiptVerifier, type ReceiptExpectation } from "./receipt.js";
import { Challenges, Factors, Receipts, Subjects, Verifications } from "./resources.js";
import type { Claims } from "./types.js";

/** Options of the client. */
export interface WatchwordOptions {
  /** An API key of your app; `dev` in development. */
  apiKey: string;
  /** The URL of the server, for example `https://verify.example.com`, or `http://localhost:8080` in development. */
  baseUrl: string;
  /** The id of your app, which `verifyReceipt` expects as `aud`; `dev` in development. */
  app?: string;
  /** The public URL of the server, which `verifyReceipt` expects as `iss`. The default is `baseUrl`: set it if that is another one. */
  issuer?: string;
  /** The secrets of your endpoint of events (`whsec_...`), for `verifyEvent`. While you change one, give the old and the new. */
  eventSecrets?: string | readonly string[];
  /** Milliseconds for each try. The default is 15,000; the server itself gives up after 10,000. */
  timeout?: number;
  /** How often a call is repeated after a temporary failure. The default is 2. Each try of a call has the same Idempotency-Key. */
  maxRetries?: number;
  /** Sends the requests. The default is the global `fetch`. */
  fetch?: typeof fetch;
}

/** The client of a watchword server, for your backend. Never use it in a browser: it holds the API key. */
export class Watchword {
  readonly verifications: Verifications;
  readonly challenges: Challenges;
  readonly factors: Factors;
  readonly subjects: Subjects;
  readonly receipts: Receipts;
  readonly #options: WatchwordOptions;
  readonly #issuer: string;
  #verifier: ReceiptVerifier | undefined;

  constructor(options: WatchwordOptions) {
    const baseUrl = checkBaseUrl(options.baseUrl);
    if (!options.apiKey) throw new TypeError("watchword: apiKey is missing");
    if (!isHeaderValue(options.apiKey)) throw new TypeError("watchword: apiKey has characters that no API key has, for example a line break at the end of its file");
    const { timeout = 15_000, maxRetries = 2, fetch = globalThis.fetch } = options;
    const transport = new Transport({ apiKey: options.apiKey, baseUrl, timeout, maxRetries, fetch, userAgent: "watchword-auth-typescript" });
    this.verifications = new Verifications(transport);
    this.challenges = new Challenges(transport);
    this.factors = new Factors(transport);
    this.subjects = new Subjects(transport);
    this.receipts = new Receipts(transport);
    this.#options = options;
    this.#issuer = options.issuer ?? baseUrl;
  }

  /**
   * Verifies a receipt with the server's public keys, and returns its claims. It needs the package `jose`, and `app` of the options.
   * The backend that called `check` or `redeem` need not do it; every other service that acts on the receipt must.
   */
  async verifyReceipt(receipt: string, expected: ReceiptExpectation): Promise<Claims> {
    const { app, fetch } = this.#options;
    if (!app) throw new TypeError("watchword: verifyReceipt needs the option app, the id of your app");
    this.#verifier ??= new ReceiptVerifier({ issuer: this.#issuer, app, ...(fetch && { fetch }) });
    return this.#verifier.verify(receipt, expected);
  }

  /** Verifies a request to your endpoint of events and returns the event. It needs `eventSecrets` of the options. */
  async verifyEvent(request: Request | EventRequest): Promise<WatchwordEvent> {
    const { eventSecrets } = this.#options;
    if (!eventSecrets) throw new TypeError("watchword: verifyEvent needs the option eventSecrets");
    return verifyEvent(request, { secrets: eventSecrets });
  }
}

function checkBaseUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol)) throw new TypeError("watchword: baseUrl must be a URL, for example http://localhost:8080");
  if (url.username || url.password || /[?#]/.test(text)) throw new TypeError("watchword: baseUrl must have no user name, query or fragment");
  return text.replace(/\/+$/, "");
}
