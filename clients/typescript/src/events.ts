import { readBody as readBodyOf } from "./bytes.js";
import { InvalidEventError } from "./errors.js";

/** The types of events, in the order of the documentation. */
export const eventTypes = [
  "challenge.started", "challenge.approved", "challenge.failed", "challenge.locked", "challenge.expired", "challenge.canceled", "challenge.reported",
  "verification.started", "verification.approved", "verification.expired", "verification.canceled",
  "message.sent", "message.delivered", "message.failed",
  "factor.enrolled", "factor.removed", "factor.disabled", "factor.failing", "factor.low",
  "device.reused", "limit.reached", "link.opened", "link.scanner_suspected",
] as const;

/** The type of an event. A later version of the server can send others. */
export type EventType = (typeof eventTypes)[number];

/** An event. It proves nothing; a receipt does. */
export interface WatchwordEvent {
  /** The same for each repetition of an event (`webhook-id`). Ids sort by time. */
  id: string;
  type: EventType;
  /** When it happened, RFC 3339. */
  timestamp: string;
  /** Only the fields that the event knows. */
  data: {
    app?: string;
    challenge_id?: string;
    verification_id?: string;
    strategy?: string;
    purpose?: string;
    subject?: string;
    channel?: string;
    provider?: string;
    factor?: string;
    limit?: string;
    metadata?: Record<string, string>;
  };
}

/** A request of any framework. The body is the text or the bytes as they came, not parsed JSON. */
export interface EventRequest {
  headers: Headers | Record<string, string | string[] | undefined>;
  body: string | Uint8Array;
}

/** Options of {@link verifyEvent}. */
export interface VerifyEventOptions {
  /** The secrets of the endpoint (`whsec_...`). While you change one, give the old and the new. */
  secrets: string | readonly string[];
  /** The current time in milliseconds. The default is `Date.now`. */
  now?: () => number;
}

const shortestSecret = 24; // bytes, as Standard Webhooks says; the server has no shorter ones
const tolerance = 5 * 60; // seconds, as Standard Webhooks recommends

/**
 * Returns the event of a request that the server signed (Standard Webhooks 1.0), or rejects with an `InvalidEventError`. It reads the
 * body of a `Request`. Events can come again and in another order: remember the ids that you have handled.
 */
export async function verifyEvent(request: Request | EventRequest, options: VerifyEventOptions): Promise<WatchwordEvent> {
  const secrets = typeof options.secrets === "string" ? [options.secrets] : options.secrets;
  if (secrets.length === 0) throw new TypeError("watchword: verifying events needs a secret");
  const keys = await Promise.all(secrets.map(importSecret));
  const [id, timestamp, signatures] = ["webhook-id", "webhook-timestamp", "webhook-signature"].map((name) => readHeader(request.headers, name));
  if (!id || !timestamp || !signatures) throw new InvalidEventError("event: webhook-id, webhook-timestamp or webhook-signature is missing");
  const age = (options.now?.() ?? Date.now()) / 1_000 - (/^\d{1,15}$/.test(timestamp) ? Number(timestamp) : NaN);
  if (!(Math.abs(age) <= tolerance)) throw new InvalidEventError("event: the timestamp is not of the last five minutes");
  const body = await readBody(request);
  if (!(await isSigned(keys, join(`${id}.${timestamp}.`, body), signatures))) throw new InvalidEventError("event: the signature is wrong");
  return parseEvent(id, body);
}

async function importSecret(secret: string): Promise<CryptoKey> {
  const bytes = typeof secret === "string" && secret.startsWith("whsec_") ? decodeBase64(secret.slice(6)) : undefined;
  if (!bytes || bytes.length < shortestSecret) throw new TypeError("watchword: a secret of events is whsec_ and at least 24 bytes in base64");
  return crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
}

function readHeader(headers: EventRequest["headers"], name: string): string | undefined {
  if (isHeaders(headers)) return headers.get(name) ?? undefined;
  const found = Object.entries(headers ?? {}).find(([key]) => key.toLowerCase() === name)?.[1];
  return Array.isArray(found) ? found[0] : found;
}

// Frameworks bring classes of their own for headers.
function isHeaders(headers: EventRequest["headers"]): headers is Headers {
  return typeof headers?.get === "function";
}

async function readBody(request: Request | EventRequest): Promise<Uint8Array<ArrayBuffer>> {
  if (request instanceof Request) {
    const body = await readBodyOf(request);
    if (!body) throw new InvalidEventError("event: the body is too long");
    return body;
  }
  if (typeof request.body === "string") return new TextEncoder().encode(request.body);
  if (request.body instanceof Uint8Array) return new Uint8Array(request.body);
  throw new TypeError("watchword: the body of an event must be the text or the bytes as they came, for example of express.raw()");
}

function join(prefix: string, body: Uint8Array): Uint8Array<ArrayBuffer> {
  const head = new TextEncoder().encode(prefix);
  const out = new Uint8Array(head.length + body.length);
  out.set(head);
  out.set(body, head.length);
  return out;
}

// The header has one signature for each secret of the endpoint, separated by spaces: v1,base64. Each is compared in constant time.
async function isSigned(keys: CryptoKey[], content: Uint8Array<ArrayBuffer>, header: string): Promise<boolean> {
  let signed = false;
  for (const part of header.split(" ").slice(0, 20)) {
    const signature = part.startsWith("v1,") ? decodeBase64(part.slice(3)) : undefined;
    if (!signature) continue;
    for (const key of keys) signed = (await crypto.subtle.verify("HMAC", key, signature, content)) || signed;
  }
  return signed;
}

function decodeBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  } catch {
    return undefined;
  }
}

function parseEvent(id: string, body: Uint8Array): WatchwordEvent {
  try {
    const event = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body)) as Omit<WatchwordEvent, "id">;
    if (typeof event.type === "string" && typeof event.data === "object" && event.data !== null && !Array.isArray(event.data)) return { id, type: event.type, timestamp: event.timestamp, data: event.data };
  } catch {
    // reported below
  }
  throw new InvalidEventError("event: the body is not an event");
}
