// What needs no server: repetitions, clocks, events, and passkeys in a browser with a password manager.
import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import { decodeJwt, exportJWK, generateKeyPair, SignJWT } from "jose";
import { Webhook } from "standardwebhooks";
import * as w from "watchword-auth";

const problem = (status, body = {}, headers = {}) =>
  new Response(JSON.stringify({ type: "about:blank", title: "Title", status, ...body }), { status, headers: { "Content-Type": "application/problem+json", ...headers } });
const unavailable = (more) => problem(503, { code: "unavailable", ...more }, { "Retry-After": "0" });
const ok = (method) => (method === "DELETE" ? new Response(null, { status: 204 }) : Response.json({ id: "ch_1", status: "pending", factors: [] }));

/** A body of 4 MiB of white space, in parts, and how many of them were read. */
function longBody() {
  const body = { parts: 0, stream: undefined };
  const pull = (controller) => (body.parts++ < 64 ? controller.enqueue(new Uint8Array(65_536).fill(32)) : controller.close());
  body.stream = new ReadableStream({ pull });
  return body;
}

/** A client whose server gives these responses, and the requests that it got. A response may be an error of the connection. */
function clientOf(responses, options = {}) {
  const requests = [];
  const fetch = async (url, init) => {
    requests.push({ url, key: init.headers.get("Idempotency-Key"), body: init.body });
    const next = responses[Math.min(requests.length, responses.length) - 1](init.method);
    if (next instanceof Error) throw next;
    return next;
  };
  return { watchword: new w.Watchword({ apiKey: "k", baseUrl: "https://verify.example.com/", app: "shop", fetch, ...options }), requests };
}

const calls = {
  GET: (c) => c.challenges.retrieve("ch_1"),
  POST: (c) => c.challenges.cancel("ch_1"),
  PATCH: (c) => c.factors.update("fa_1", { label: "Ann" }, { authorization: "eyJ" }),
  DELETE: (c) => c.factors.remove("fa_1", { authorization: "eyJ" }),
};
const repeatedAfter = {
  "a broken connection": [() => new TypeError("broken"), ["GET", "POST"]],
  "an outcome that is unknown": [() => unavailable({ outcome: "unknown" }), ["GET", "POST"]],
  "a store that is unavailable": [() => unavailable(), ["GET", "POST", "PATCH", "DELETE"]],
  "a page of a proxy": [() => new Response("<h1>Bad gateway</h1>", { status: 502 }), ["GET", "POST"]],
  "a request in flight": [() => problem(409, { code: "idempotency_in_flight" }), ["POST", "GET"]],
  "a limit": [() => problem(429, { code: "rate_limited" }, { "Retry-After": "1" }), []],
  "a defect of the server": [() => problem(500, { code: "internal_error" }), []],
  "a redirect": [() => new Response(null, { status: 302, headers: { Location: "https://example.net" } }), []],
};
for (const [name, [response, methods]] of Object.entries(repeatedAfter)) {
  test(`what is repeated after ${name}`, async () => {
    await Promise.all(Object.entries(calls).map(async ([method, call]) => {
      const { watchword, requests } = clientOf([response, ok]);
      const outcome = call(watchword);
      await (methods.includes(method) ? outcome : assert.rejects(outcome, w.WatchwordError));
      assert.equal(requests.length, methods.includes(method) ? 2 : 1, method);
      if (method === "POST") assert.ok(requests.every((r) => r.key && r.key === requests[0].key && r.body === requests[0].body), "the repetition has another Idempotency-Key or body");
    }));
  });
}

test("a call gives up after maxRetries, with the last error", async () => {
  const { watchword, requests } = clientOf([() => unavailable()], { maxRetries: 1 });
  await assert.rejects(watchword.challenges.cancel("ch_1"), (e) => e instanceof w.UnavailableError && !e.outcomeUnknown);
  await assert.rejects(watchword.challenges.cancel("ch_1", { maxRetries: 0 }), w.UnavailableError);
  assert.equal(requests.length, 3);
});

const inFlight = (headers) => problem(409, { code: "idempotency_in_flight" }, headers);

/** Lets the time of a call pass, until it settles, and returns the result and the milliseconds. */
async function passTime(t, call, step = 50) {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const began = Date.now();
  let settled = false;
  const outcome = call().then((value) => ({ value }), (error) => ({ error })).finally(() => (settled = true));
  for (;;) {
    for (let n = 0; n < 20 && !settled; n++) await new Promise(setImmediate);
    if (settled) break;
    t.mock.timers.tick(step);
  }
  const took = Date.now() - began;
  t.mock.timers.reset();
  return { ...(await outcome), took };
}

test("a call waits while the server answers an earlier try of it", async (t) => {
  let first;
  const answer = () => (Date.now() - (first ??= Date.now()) < 12_000 ? inFlight() : ok());
  const { watchword, requests } = clientOf([() => new TypeError("broken"), answer]);
  const { value, took } = await passTime(t, () => watchword.challenges.cancel("ch_1"));
  assert.equal(value?.id, "ch_1", `gave up after ${took} ms and ${requests.length} requests`);
  assert.ok(took >= 12_000 && requests.length >= 13 && requests.length < 30, `${took} ms, ${requests.length} requests`);
  assert.equal(new Set(requests.map(({ key }) => key)).size, 1);
});

test("a call does not wait for an earlier try forever", async (t) => {
  const { watchword, requests } = clientOf([() => inFlight()]);
  const { error, took } = await passTime(t, () => watchword.challenges.cancel("ch_1"));
  assert.ok(error instanceof w.IdempotencyInFlightError && took > 13_000 && took <= 15_050, `${error}, ${took} ms, ${requests.length} requests`);
  await assert.rejects(watchword.challenges.cancel("ch_1", { maxRetries: 0 }), w.IdempotencyInFlightError);
});

test("a call waits for an earlier try as long as the server asks", async (t) => {
  const { watchword, requests } = clientOf([() => inFlight({ "Retry-After": "3" })]);
  const { took } = await passTime(t, () => watchword.challenges.cancel("ch_1"));
  assert.ok(requests.length === 6 && took >= 15_000 && took < 15_500, `${took} ms, ${requests.length} requests`);
});

test("a wait asks at most once a second, though the server responds at once", async (t) => {
  let first;
  const answer = () => {
    if (requests.length > 100) throw new Error("too many requests");
    return Response.json({ id: "ch_1", status: Date.now() - (first ??= Date.now()) < 10_000 ? "pending" : "approved" });
  };
  const { watchword, requests } = clientOf([answer], { maxRetries: 0 });
  const { value } = await passTime(t, () => watchword.challenges.wait("ch_1"));
  assert.ok(value?.status === "approved" && requests.length <= 11, `${requests.length} requests`);
});

test("a try that takes too long is a time-out, and an aborted call is not repeated", async () => {
  const hanging = (_, { signal }) => new Promise((_, reject) => {
    const connection = setInterval(() => {}, 1_000); // keeps the process alive
    const abort = () => (clearInterval(connection), reject(signal.reason));
    signal.aborted ? abort() : signal.addEventListener("abort", abort);
  });
  const watchword = new w.Watchword({ apiKey: "k", baseUrl: "https://verify.example.com", fetch: hanging, timeout: 20, maxRetries: 0 });
  await assert.rejects(watchword.challenges.retrieve("ch_1"), w.RequestTimeoutError);
  const reason = new Error("the person left");
  await assert.rejects(watchword.challenges.retrieve("ch_1", { signal: AbortSignal.abort(reason), maxRetries: 5 }), reason);
});

test("ids stay one segment of the path", async () => {
  const { watchword, requests } = clientOf([ok]);
  await watchword.challenges.retrieve("../factors?x=#y");
  assert.equal(requests[0].url, "https://verify.example.com/v1/challenges/..%2Ffactors%3Fx%3D%23y");
  for (const id of ["", "..", undefined]) assert.throws(() => watchword.challenges.retrieve(id), TypeError);
});

test("wrong options are refused at once", () => {
  const baseUrl = "https://verify.example.com";
  for (const options of [{}, { apiKey: "k" }, { apiKey: "k", baseUrl: "verify.example.com" }, { baseUrl }, { apiKey: "s3cret\n", baseUrl }, { apiKey: "“s3cret”", baseUrl },
    { apiKey: "k", baseUrl: "https://user:s3cret@verify.example.com" }, { apiKey: "k", baseUrl: `${baseUrl}?key=s3cret` }, { apiKey: "k", baseUrl: `${baseUrl}#x` }]) {
    assert.throws(() => new w.Watchword(options), (error) => error instanceof TypeError && /^watchword: /.test(error.message) && !inspect(error).includes("s3cret"));
  }
});

test("what cannot be sent in a header is not quoted", async () => {
  const { watchword, requests } = clientOf([ok]);
  const isPlain = (error) => error instanceof TypeError && /^watchword: /.test(error.message) && !inspect(error).includes("s3cret");
  await assert.rejects(watchword.factors.remove("fa_1", { authorization: "s3cret\nreceipt" }), isPlain);
  await assert.rejects(watchword.challenges.cancel("ch_1", { idempotencyKey: "s3cret\n" }), isPlain);
  assert.equal(requests.length, 0);
});

test("a server that answers everything with success verifies nobody and removes nothing", async () => {
  const answers = { "204": () => new Response(null, { status: 204 }), null: () => Response.json(null), "{}": () => Response.json({}), "[]": () => Response.json([]),
    "no receipt": () => Response.json({ status: "approved", claims: {}, receipt: "" }), pending: () => Response.json({ status: "pending", receipt: "eyJ" }),
    "another purpose": () => Response.json({ jti: "ch_1", purpose: "mfa" }), "202": () => Response.json({ ok: true }, { status: 202 }) };
  const proofs = {
    check: (c) => c.challenges.check("ch_1", { purpose: "sign_in", to: "ann@example.com", answer: "123456" }),
    redeem: (c) => c.verifications.redeem("vf_1", { purpose: "sign_in", subject: "user_42", handle: "hd_1" }),
    receipt: (c) => c.receipts.redeem({ purpose: "sign_in", receipt: "eyJ" }),
  };
  for (const [answer, respond] of Object.entries(answers)) {
    for (const [call, run] of Object.entries(proofs)) await assert.rejects(run(clientOf([respond]).watchword), w.UnexpectedResponseError, `${call}: ${answer}`);
    if (answer !== "204") await assert.rejects(calls.DELETE(clientOf([respond]).watchword), w.UnexpectedResponseError, `DELETE: ${answer}`);
  }
});

test("a response is read up to 1 MiB, and logs do not show it", async () => {
  const body = longBody();
  await assert.rejects(clientOf([() => new Response(body.stream)]).watchword.challenges.retrieve("ch_1"), w.UnexpectedResponseError);
  assert.ok(body.parts < 20, `${body.parts} parts of 64 KiB were read`);
  const page = () => new Response("<p>s3cret</p>", { status: 500 });
  await assert.rejects(clientOf([page]).watchword.challenges.retrieve("ch_1"), (error) => {
    assert.ok(error instanceof w.UnexpectedResponseError && error.body === "<p>s3cret</p>" && error.status === 500);
    return !inspect(error).includes("s3cret") && !JSON.stringify(error).includes("s3cret");
  });
  const strange = () => problem(400, { code: "invalid_request", errors: "s3cret" });
  await assert.rejects(clientOf([strange]).watchword.challenges.retrieve("ch_1"), w.UnexpectedResponseError);
});

test("a client shows its API key and secrets to no log", () => {
  const { watchword } = clientOf([ok], { apiKey: "s3cret", eventSecrets: "whsec_czNjcmV0" });
  assert.ok(!/s3cret|czNjcmV0/.test(inspect(watchword, { depth: 9, showHidden: true }) + JSON.stringify(watchword)));
});

/** A server that signs any claims. */
async function newIssuer(kid = "k1") {
  const { publicKey, privateKey } = await generateKeyPair("EdDSA", { extractable: true });
  const keys = { keys: [{ ...(await exportJWK(publicKey)), kid, alg: "EdDSA", use: "sig" }] };
  const sign = (change = {}, header = {}) => {
    const now = Math.floor(Date.now() / 1000);
    const claims = { iss: "https://verify.example.com", aud: "shop", sub: "user_42", jti: "ch_1", iat: now, auth_time: now, exp: now + 300, purpose: "sign_in", strategy: "otp" };
    return new SignJWT({ ...claims, ...change }).setProtectedHeader({ alg: "EdDSA", kid, typ: "verification-receipt+jwt", ...header }).sign(privateKey);
  };
  return { keys, sign };
}

test("receipts are verified with the issuer's keys and a clock that differs", async () => {
  const issuer = await newIssuer();
  const now = Math.floor(Date.now() / 1000);
  let fetched = 0;
  const verifier = new w.ReceiptVerifier({ issuer: "https://verify.example.com", app: "shop", fetch: async () => (fetched++, Response.json(issuer.keys)) });
  const verify = (receipt) => verifier.verify(receipt, { purpose: "sign_in", subject: "user_42" });
  for (const ahead of [1, 50]) await verify(await issuer.sign({ iat: now + ahead, auth_time: now + ahead, exp: now + ahead + 300 }));
  for (const [name, change, header] of [
    ["ten minutes ahead", { iat: now + 600, auth_time: now + 600, exp: now + 900 }], ["expired by a second", { iat: now - 301, auth_time: now - 301, exp: now - 1 }],
    ["valid for an hour", { exp: now + 3600 }], ["no auth_time", { auth_time: undefined }], ["another typ", {}, { typ: "JWT" }], ["a key of its own", {}, { jwk: {} }],
    ["another subject", { sub: "user_43" }], ["another audience", { aud: "bank" }], ["several audiences", { aud: ["shop", "bank"] }], ["another issuer", { iss: "https://verify.example.net" }],
  ]) {
    await assert.rejects(verify(await issuer.sign(change, header)), w.InvalidReceiptError, name);
  }
  const attacker = await newIssuer();
  await assert.rejects(verify(await attacker.sign()), w.InvalidReceiptError, "signed by another key of the same name");
  const unsigned = (await issuer.sign()).split(".");
  unsigned[0] = Buffer.from(JSON.stringify({ alg: "none", kid: "k1", typ: "verification-receipt+jwt" })).toString("base64url");
  await assert.rejects(verify([unsigned[0], unsigned[1], ""].join(".")), w.InvalidReceiptError, "alg none");
  const symmetric = { alg: "HS256", kid: "k1", typ: "verification-receipt+jwt" };
  const forged = await new SignJWT(decodeJwt(await issuer.sign())).setProtectedHeader(symmetric).sign(Buffer.from(issuer.keys.keys[0].x, "base64url"));
  await assert.rejects(verify(forged), w.InvalidReceiptError, "alg HS256 with the public key");
  for (const text of ["", "a.b.c", "hello"]) await assert.rejects(verify(text), w.InvalidReceiptError);
  assert.equal(fetched, 1, "the keys are fetched once");
  await assert.rejects(verifier.verify(await issuer.sign(), { purpose: "sign_in" }), TypeError);
  await assert.rejects(verifier.verify(await issuer.sign(), { subject: "user_42" }), TypeError);
});

test("a receipt of a new key is verified once the keys are fetched again, and one of a retired key is not", async (t) => {
  t.mock.timers.enable({ apis: ["Date"], now: Date.now() });
  const [before, after] = [await newIssuer("k1"), await newIssuer("k2")];
  let [published, fetched] = [before.keys.keys, 0];
  const verifier = new w.ReceiptVerifier({ issuer: "https://verify.example.com", app: "shop", fetch: async () => (fetched++, Response.json({ keys: published })) });
  const verify = async (issuer) => verifier.verify(await issuer.sign(), { purpose: "sign_in", subject: "user_42" });
  await verify(before);
  published = [...before.keys.keys, ...after.keys.keys];
  await assert.rejects(verify(after), w.InvalidReceiptError, "fetched again within 30 seconds");
  t.mock.timers.tick(31_000);
  await verify(after);
  await verify(before);
  assert.equal(fetched, 2);
  published = after.keys.keys;
  t.mock.timers.tick(600_001);
  await verify(after);
  await assert.rejects(verify(before), w.InvalidReceiptError, "a retired key");
});

test("receipts are not verified without keys", async () => {
  const issuer = await newIssuer();
  const receipt = await issuer.sign();
  for (const fetch of [async () => { throw new TypeError("unreachable"); }, async () => new Response("no", { status: 500 }), async () => Response.json({ hello: 1 })]) {
    const verifier = new w.ReceiptVerifier({ issuer: "https://verify.example.com", app: "shop", fetch });
    await assert.rejects(verifier.verify(receipt, { purpose: "sign_in", subject: "user_42" }), w.KeysUnavailableError);
  }
  const insecure = new w.ReceiptVerifier({ issuer: "http://verify.example.com", app: "shop" });
  await assert.rejects(insecure.verify(receipt, { purpose: "sign_in", subject: "user_42" }), TypeError);
});

const secretOf = (text) => `whsec_${Buffer.from(text.repeat(3)).toString("base64")}`;
const [oldSecret, newSecret] = [secretOf("old secret"), secretOf("new secret")];
const event = { type: "verification.approved", timestamp: "2026-08-01T10:00:00.123Z", data: { app: "shop", verification_id: "vf_1", metadata: { name: "Zoë" } } };

/** A request as the official library signs it. */
function signedEvent(secrets, { at = new Date(), body = JSON.stringify(event), sent = body } = {}) {
  const signature = [secrets].flat().map((secret) => new Webhook(secret).sign("evt_1", at, body)).join(" ");
  const headers = { "webhook-id": "evt_1", "webhook-timestamp": String(Math.floor(at.getTime() / 1000)), "webhook-signature": signature };
  return new Request("https://app.example.com/events", { method: "POST", headers, body: sent });
}

test("events are verified in every form of a request", async () => {
  const watchword = new w.Watchword({ apiKey: "k", baseUrl: "https://verify.example.com", eventSecrets: newSecret });
  assert.deepEqual(await watchword.verifyEvent(signedEvent(newSecret)), { id: "evt_1", ...event });
  const request = signedEvent(newSecret);
  const headers = Object.fromEntries([...request.headers].map(([name, value]) => [name.replace("webhook", "Webhook"), value]));
  const body = Buffer.from(await request.arrayBuffer());
  for (const form of [body, body.toString()]) assert.equal((await watchword.verifyEvent({ headers, body: form })).type, event.type);
  const own = { get: (name) => request.headers.get(name) }; // of a framework with its own Headers
  assert.equal((await watchword.verifyEvent({ headers: own, body })).id, "evt_1");
  await assert.rejects(watchword.verifyEvent({ headers, body: JSON.parse(body) }), TypeError);
});

test("events are verified while a secret is changed, on either side", async () => {
  for (const [signed, known] of [[[oldSecret, newSecret], [newSecret]], [[oldSecret], [oldSecret, newSecret]], [[newSecret], [oldSecret, newSecret]]]) {
    assert.equal((await w.verifyEvent(signedEvent(signed), { secrets: known })).id, "evt_1");
  }
});

test("events that the server did not sign, and old ones, are refused", async () => {
  const ago = (seconds) => new Date(Date.now() - seconds * 1000);
  const cases = {
    "another secret": signedEvent(oldSecret), "another body": signedEvent(newSecret, { sent: JSON.stringify({ ...event, type: "factor.removed" }) }),
    "six minutes old": signedEvent(newSecret, { at: ago(360) }), "six minutes ahead": signedEvent(newSecret, { at: ago(-360) }),
    "no headers": new Request("https://app.example.com", { method: "POST", body: "{}" }), "no event": signedEvent(newSecret, { body: "[]" }), "data that is a list": signedEvent(newSecret, { body: '{"type":"x","data":[]}' }), "no JSON": signedEvent(newSecret, { body: "x" }),
  };
  for (const [name, request] of Object.entries(cases)) await assert.rejects(w.verifyEvent(request, { secrets: newSecret }), w.InvalidEventError, name);
  const renamed = signedEvent(newSecret);
  renamed.headers.set("webhook-id", "evt_2");
  await assert.rejects(w.verifyEvent(renamed, { secrets: newSecret }), w.InvalidEventError);
  const moved = signedEvent(newSecret, { at: ago(100) });
  moved.headers.set("webhook-timestamp", String(Math.floor(Date.now() / 1000)));
  await assert.rejects(w.verifyEvent(moved, { secrets: newSecret }), w.InvalidEventError);
  for (const secrets of [[], [undefined], "", "whsec_", "whsec_!", "whsec_c2hvcnQ=", newSecret.slice(6)]) await assert.rejects(w.verifyEvent(signedEvent(newSecret), { secrets }), { name: "TypeError", message: /^watchword: / });
  const polluting = signedEvent(newSecret, { body: '{"type":"x","__proto__":{"polluted":1},"data":{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}}' });
  const { data } = await w.verifyEvent(polluting, { secrets: newSecret });
  assert.ok(Object.getPrototypeOf(data) === Object.prototype && {}.polluted === undefined && data.polluted === undefined);
  const long = longBody();
  const request = new Request("https://app.example.com", { method: "POST", body: long.stream, duplex: "half", headers: signedEvent(newSecret).headers });
  await assert.rejects(w.verifyEvent(request, { secrets: newSecret }), w.InvalidEventError);
  assert.ok(long.parts < 20, `${long.parts} parts of 64 KiB were read`);
});

test("an answer is built from the fields of a credential whose methods throw", async () => {
  const buffer = (text) => new TextEncoder().encode(text).buffer;
  const broken = () => { throw new TypeError("Illegal invocation"); };
  const credential = { id: "aWQ", get rawId() { return broken(); }, toJSON: broken, type: "public-key",
    response: { clientDataJSON: buffer("{}"), authenticatorData: buffer("data"), signature: buffer("sig"), get userHandle() { return broken(); }, getTransports: broken } };
  globalThis.PublicKeyCredential = function () {};
  Object.defineProperty(globalThis, "navigator", { configurable: true, value: { credentials: { get: async () => credential } } });
  const { authenticate, available } = await import("watchword-auth/browser");
  assert.ok(available());
  assert.deepEqual(await authenticate({ challenge: "AAAA" }), { id: "aWQ", rawId: "aWQ", type: "public-key",
    response: { clientDataJSON: "e30", authenticatorData: "ZGF0YQ", signature: "c2ln" } });
});
