// The element <watchword-verification>, which a watchword server serves as /element.js.

/** What the event `approved` brings. Send it to your backend, which redeems the verification with its handle: the event proves nothing. */
export interface ApprovedDetail {
  /** The id of the verification. Compare it with that of the session. */
  verification: string;
  return_code: string;
}

/** What the event `ended` brings. */
export interface EndedDetail {
  verification: string;
  status: "canceled" | "locked" | "expired";
}

/** What the event `error` brings. After `unavailable` the element tries again by itself; after the others start another verification. */
export interface ErrorDetail {
  verification: string;
  code: "unknown_verification" | "page_opened" | "unavailable";
}

/** The events of the element by their names. They do not bubble. */
export interface VerificationEvents {
  approved: CustomEvent<ApprovedDetail>;
  ended: CustomEvent<EndedDetail>;
  error: CustomEvent<ErrorDetail>;
}

/** The element. It shows the verification of `id` and `ticket`, which your backend has started: never take them from the page's own address. */
export interface WatchwordVerificationElement extends HTMLElement {
  ticket: string;
  addEventListener<K extends keyof VerificationEvents>(
    type: K, listener: (this: WatchwordVerificationElement, event: VerificationEvents[K]) => unknown, options?: boolean | AddEventListenerOptions): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | AddEventListenerOptions): void;
  removeEventListener<K extends keyof VerificationEvents>(
    type: K, listener: (this: WatchwordVerificationElement, event: VerificationEvents[K]) => unknown, options?: boolean | EventListenerOptions): void;
  removeEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | EventListenerOptions): void;
}

/** The attributes of the element, for declarations of JSX and of templates. */
export interface VerificationAttributes {
  id: string;
  ticket: string;
}

declare global {
  interface HTMLElementTagNameMap {
    "watchword-verification": WatchwordVerificationElement;
  }
}

/**
 * Loads the element from a server, by its public URL, and defines it. It does nothing if that is done. A Content-Security-Policy must list
 * the server in `script-src` and `connect-src`.
 */
export async function loadElement(serverUrl: string): Promise<void> {
  await import(/* webpackIgnore: true */ /* turbopackIgnore: true */ /* @vite-ignore */ new URL("/element.js", serverUrl).href);
}
