// A small authenticator app (RFC 6238), and the verification of receipts (RFC 7515), with the browser's cryptography.

const step = 30; // seconds

function decodeBase32(text) {
  const bits = [...text].map((c) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(c).toString(2).padStart(5, "0")).join("");
  return Uint8Array.from(bits.match(/.{8}/g), (byte) => parseInt(byte, 2));
}

/** The code of a secret (base32) at a time step: SHA-1, six digits. */
export async function totp(secret, counter) {
  const key = await crypto.subtle.importKey("raw", decodeBase32(secret), { name: "HMAC", hash: "SHA-1" }, false, ["sign"]);
  const message = new DataView(new ArrayBuffer(8));
  message.setBigUint64(0, BigInt(counter));
  const mac = new DataView(await crypto.subtle.sign("HMAC", key, message));
  return String((mac.getUint32(mac.getUint8(19) & 15) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

/** The next step whose code was not used: a code works once, and the server accepts one step ahead. Resolves when its time has come. */
export async function nextStep(used) {
  for (;;) {
    const now = Math.floor(Date.now() / 1000 / step);
    if (used < now + 1) return Math.max(now, used + 1);
    await new Promise((done) => setTimeout(done, 500));
  }
}

const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const json = (text) => JSON.parse(new TextDecoder().decode(bytes(text)));

// How Web Cryptography names the algorithms of receipts (RFC 8037, RFC 7518).
const algorithms = { EdDSA: { name: "Ed25519" }, ES256: { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } };

/** The claims of a receipt, which prove nothing until it is verified. */
export const readClaims = (receipt) => json(receipt.split(".")[1]);

/** Decodes a receipt and verifies its signature with a JSON Web Key Set. verified is undefined if the browser lacks the algorithm. */
export async function verifyReceipt(receipt, keySet) {
  const [head, payload, signature] = receipt.split(".");
  const header = json(head);
  const decoded = { header, claims: json(payload), verified: false };
  const jwk = keySet.keys.find((one) => one.kid === header.kid);
  const algorithm = algorithms[header.alg];
  if (!jwk || !algorithm || jwk.alg !== header.alg) return decoded;
  try {
    const { kty, crv, x, y } = jwk;
    const key = await crypto.subtle.importKey("jwk", { kty, crv, x, y }, algorithm, false, ["verify"]);
    decoded.verified = await crypto.subtle.verify(algorithm, key, bytes(signature), new TextEncoder().encode(`${head}.${payload}`));
  } catch (cause) {
    if (cause.name !== "NotSupportedError") throw cause;
    decoded.verified = undefined;
  }
  return decoded;
}
