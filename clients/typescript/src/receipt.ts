import type { JWTPayload, JWTVerifyGetKey, JWTVerifyOptions, JWTVerifyResult } from "jose";
import { InvalidReceiptError, KeysUnavailableError, WatchwordError } from "./errors.js";
import type { Claims } from "./types.js";

/** Whom a receipt is about: a subject, an address, or whoever it names. */
export type ExpectedPerson =
  | { /** The subject of the start. */ subject: string; /** The keyed hash of the address. Left out: any address of the subject. */ addressHash?: string; anySubject?: never }
  | { /** The keyed hash of the address of a start without a subject. */ addressHash: string; subject?: never; anySubject?: never }
  | { /** Accepts every subject, for passkeys without a user name. Take the subject from the claims. */ anySubject: true; subject?: never; addressHash?: never };

/** What your app expects of a receipt. Take it from your own session, never from the request that brings the receipt. */
export type ReceiptExpectation = ExpectedPerson & {
  /** The purpose of the start. */
  purpose: string;
  /** The nonce of the start. Left out: a receipt with a nonce is refused. */
  nonce?: string;
  /** The transaction of the start, with exactly these entries. Left out: a receipt with a transaction is refused. */
  transaction?: Record<string, string>;
  /** The assurance that the receipt must have, such as `phr`. Left out: any, and none. */
  acr?: string;
  /** Seconds since the right answer, at most. Left out: as long as the receipt is valid. */
  maxAge?: number;
};

/** Options of a verifier of receipts. */
export interface ReceiptVerifierOptions {
  /** The server's public URL, which receipts name as `iss`. */
  issuer: string;
  /** The id of your app, which receipts name as `aud`; `dev` in development. */
  app: string;
  /** The URL of the server's keys. The default is the issuer's `/.well-known/jwks.json`. */
  jwksUrl?: string;
  /** Fetches the keys. The default is the global `fetch`. */
  fetch?: typeof fetch;
  /** The current time in milliseconds. The default is `Date.now`. */
  now?: () => number;
}

const receiptType = "verification-receipt+jwt";
const clockTolerance = 60; // seconds that the server's clock may be ahead
const longestLifetime = 600; // seconds
const headerParameters = 3; // alg, kid and typ: no token brings its own key
const algorithms = ["EdDSA", "ES256"];
const requiredClaims = ["jti", "iat", "exp", "auth_time", "purpose", "strategy"];

interface Jose {
  createRemoteJWKSet(url: URL, options?: object): JWTVerifyGetKey;
  customFetch: symbol;
  jwtVerify(token: string, keys: JWTVerifyGetKey, options: JWTVerifyOptions): Promise<JWTVerifyResult<JWTPayload>>;
}

/**
 * Verifies receipts with the server's public keys, without asking the server. Make one and keep it: it caches the keys, and fetches
 * them again when they are ten minutes old or when a receipt names an unknown key, at most every 30 seconds. It needs the package `jose`.
 */
export class ReceiptVerifier {
  readonly #options: ReceiptVerifierOptions;
  #keys: JWTVerifyGetKey | undefined;

  constructor(options: ReceiptVerifierOptions) {
    if (!options.issuer || !options.app) throw new TypeError("watchword: a verifier of receipts needs issuer and app");
    this.#options = options;
  }

  /**
   * Returns the claims of a receipt if its signature is right, it is valid now, and it is what you expect. Otherwise it rejects with an
   * `InvalidReceiptError`, or with a `KeysUnavailableError` if the keys cannot be fetched. A receipt can be presented again until it
   * expires: redeem it, or bind it by a nonce that you use once.
   */
  async verify(receipt: string, expected: ReceiptExpectation): Promise<Claims> {
    checkExpectation(expected);
    const jose = await loadJose();
    const now = this.#options.now?.() ?? Date.now();
    const { payload, protectedHeader } = await this.#verifySignature(jose, receipt, now);
    if (Object.keys(protectedHeader).length !== headerParameters) throw new InvalidReceiptError("receipt: other header parameters than alg, kid and typ");
    const claims = payload as unknown as Claims;
    const reason = findTimeFault(claims, now / 1_000, expected.maxAge) ?? findDifference(claims, this.#options.app, expected);
    if (reason) throw new InvalidReceiptError(`receipt: ${reason}`);
    return claims;
  }

  async #verifySignature(jose: Jose, receipt: string, now: number): Promise<JWTVerifyResult<JWTPayload>> {
    const keys = this.#keySet(jose);
    try {
      return await jose.jwtVerify(receipt, keys, {
        algorithms, typ: receiptType, issuer: this.#options.issuer, audience: this.#options.app, requiredClaims,
        clockTolerance, currentDate: new Date(now),
      });
    } catch (cause) {
      throw translateJoseError(cause);
    }
  }

  #keySet(jose: Jose): JWTVerifyGetKey {
    const url = this.#options.jwksUrl ?? `${this.#options.issuer.replace(/\/$/, "")}/.well-known/jwks.json`;
    return (this.#keys ??= jose.createRemoteJWKSet(checkKeysUrl(url), this.#options.fetch && { [jose.customFetch]: this.#options.fetch }));
  }
}

// jose is an optional peer: programs that do not verify receipts do not need it.
async function loadJose(): Promise<Jose> {
  try {
    return (await import("jose")) as unknown as Jose;
  } catch (cause) {
    throw new WatchwordError("verifying receipts needs the package jose: npm install jose", { cause });
  }
}

// Who can change the answer can forge receipts.
function checkKeysUrl(text: string): URL {
  const url = new URL(text);
  const loopback = url.hostname === "localhost" || url.hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(url.hostname);
  if (url.protocol === "https:" || (url.protocol === "http:" && loopback)) return url;
  throw new TypeError("watchword: the URL of the keys must be https, or http to loopback");
}

// What comes from plain JavaScript may lack what the types require.
function checkExpectation(e: ReceiptExpectation): void {
  if (!e.purpose) throw new TypeError("watchword: the expected purpose is missing");
  const named = Boolean(e.subject) || Boolean(e.addressHash);
  if (named === (e.anySubject === true)) throw new TypeError("watchword: expect a subject, an addressHash, both, or anySubject");
}

const unavailable = new Set(["ERR_JWKS_TIMEOUT", "ERR_JWKS_INVALID", "ERR_JOSE_GENERIC"]);

function translateJoseError(cause: unknown): WatchwordError {
  const code = (cause as { code?: string }).code ?? "";
  if (!code.startsWith("ERR_J") || unavailable.has(code)) return new KeysUnavailableError("the public keys of the server cannot be fetched", { cause });
  const claim = (cause as { claim?: string }).claim;
  return new InvalidReceiptError(`receipt: ${claim ? `${claim} is missing, wrong or out of its time` : "malformed, or not signed by the server"}`, { cause });
}

// The tolerance is for a server whose clock is ahead; exp is exact.
function findTimeFault(c: Claims, now: number, maxAge: number | undefined): string | undefined {
  if (c.exp <= now) return "expired";
  if (c.exp <= c.iat || c.exp - c.iat > longestLifetime) return "valid for too long";
  if (c.iat - now > clockTolerance) return "issued in the future";
  if (maxAge !== undefined && now - c.auth_time > maxAge) return "answered too long ago";
  return undefined;
}

function findDifference(c: Claims, app: string, e: ReceiptExpectation): string | undefined {
  if (c.aud !== app) return "for another app";
  if (c.purpose !== e.purpose) return "for another purpose";
  if (e.subject && c.sub !== e.subject) return "another subject";
  if (!e.subject && !e.anySubject && c.sub) return "about a subject, and none is expected";
  if (e.anySubject && !c.sub) return "about no subject";
  if (e.addressHash && c.address_hash !== e.addressHash) return "another address";
  if ((c.nonce ?? "") !== (e.nonce ?? "")) return "another nonce";
  if (!equalEntries(c.transaction ?? {}, e.transaction ?? {})) return "about another transaction";
  if (e.acr && c.acr !== e.acr) return "of another assurance";
  return undefined;
}

function equalEntries(a: Record<string, string>, b: Record<string, string>): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => Object.hasOwn(b, name) && a[name] === b[name]);
}
