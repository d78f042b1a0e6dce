// A smoke test without a test runner, for Deno, Bun and Node.js: a sign-in, a receipt, an event, and an aborted call.
// The variable WATCHWORD_URL is the URL of a development server.
import { env } from "node:process";
import { Watchword } from "../dist/index.js";
import { Inbox } from "../dist/testing.js";

const baseUrl = env.WATCHWORD_URL;
const secret = btoa("the secret of the endpoint");
const watchword = new Watchword({ apiKey: "dev", baseUrl, app: "dev", eventSecrets: `whsec_${secret}` });
const to = `${crypto.randomUUID()}@example.com`;

const started = await watchword.verifications.create({ purpose: "sign_in", methods: [{ strategy: "otp", channel: "email", to }] });
const waiting = watchword.verifications.wait(started.id, { signal: AbortSignal.timeout(100) }).then(() => "answered", (error) => error.name);
if ((await waiting) !== "TimeoutError") throw new Error("a wait was not aborted");
const wrong = await watchword.verifications.check(started.id, { purpose: "sign_in", to, answer: "12" }).catch((error) => error);
const { receipt } = await watchword.verifications.check(started.id, { purpose: "sign_in", to, answer: await new Inbox({ baseUrl }).code({ to }) });
const claims = await watchword.verifyReceipt(receipt, { purpose: "sign_in", addressHash: JSON.parse(atob(receipt.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"))).address_hash });

const body = JSON.stringify({ type: "challenge.approved", timestamp: "2026-08-01T10:00:00Z", data: {} });
const timestamp = String(Math.floor(Date.now() / 1000));
const bytes = (text) => new TextEncoder().encode(text);
const key = await crypto.subtle.importKey("raw", Uint8Array.from(atob(secret), (c) => c.charCodeAt(0)), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
const signature = btoa(String.fromCharCode(...new Uint8Array(await crypto.subtle.sign("HMAC", key, bytes(`evt_1.${timestamp}.${body}`)))));
const headers = { "webhook-id": "evt_1", "webhook-timestamp": timestamp, "webhook-signature": `v1,${signature}` };
const event = await watchword.verifyEvent(new Request("https://app.example.com", { method: "POST", headers, body }));

if (wrong.name !== "InvalidRequestError" || wrong.errors[0].field !== "answer") throw wrong;
if (claims.verification !== started.id || event.id !== "evt_1") throw new Error("another receipt or event");
console.log("verified");
