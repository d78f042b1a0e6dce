// For end-to-end tests of your app, with `watchword serve --dev`: addresses with a fixed code, and the messages that would have been sent.
export { testAddresses, testCode, testEmail, testPhone, type Persona } from "./test-addresses.js";

/** A message in the inbox of the development server. */
export interface InboxMessage {
  id: string;
  challenge_id: string;
  channel: string;
  to: string;
  /** The title of a mail; otherwise empty. */
  subject: string;
  text: string;
  /** The HTML of a mail; otherwise empty. */
  html: string;
  /** Empty if the message has none. */
  code: string;
  /** Empty if the message has none. */
  link: string;
  /** RFC 3339. */
  at: string;
}

/** Which message a test waits for. */
export interface InboxQuery {
  /** The address as it was given to the start. */
  to?: string;
  /** The id of the challenge: that of a challenge, or `challenge.id` of a verification. */
  challenge?: string;
  /** Milliseconds to wait. The default is 30,000. */
  timeout?: number;
  signal?: AbortSignal;
}

const pause = 50; // milliseconds between two looks

/** The inbox of a development server. */
export class Inbox {
  readonly #url: string;
  readonly #fetch: typeof fetch;

  constructor(options: { /** The URL of the server. */ baseUrl: string; fetch?: typeof fetch }) {
    this.#url = options.baseUrl.replace(/\/+$/, "") + "/inbox/messages";
    this.#fetch = options.fetch ?? globalThis.fetch;
  }

  /** Lists the messages, the newest first, optionally those to one address. The server keeps the last 200. */
  async list(query: { to?: string; signal?: AbortSignal } = {}): Promise<InboxMessage[]> {
    const search = query.to === undefined ? "" : `?to=${encodeURIComponent(query.to)}`;
    const response = await this.#fetch(this.#url + search, query.signal ? { signal: query.signal } : {});
    if (!response.ok) throw new Error(`GET ${this.#url}: ${response.status}. Only a development server has an inbox.`);
    return (await response.json()) as InboxMessage[];
  }

  /** Waits for a message and returns the newest that fits. Messages are sent after the start is answered. */
  async waitFor(query: InboxQuery): Promise<InboxMessage> {
    const timeout = AbortSignal.timeout(query.timeout ?? 30_000);
    const signal = query.signal ? AbortSignal.any([query.signal, timeout]) : timeout;
    for (;;) {
      const messages = await this.list({ ...(query.to === undefined ? {} : { to: query.to }), signal });
      const found = messages.find((m) => query.challenge === undefined || m.challenge_id === query.challenge);
      if (found) return found;
      await new Promise((resolve) => setTimeout(resolve, pause));
      signal.throwIfAborted();
    }
  }

  /** Waits for a message and returns its code. */
  async code(query: InboxQuery): Promise<string> {
    return (await this.waitFor(query)).code;
  }

  /** Waits for a message and returns its link. */
  async link(query: InboxQuery): Promise<string> {
    return (await this.waitFor(query)).link;
  }
}
