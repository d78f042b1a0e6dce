// The client against a development server.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import * as w from "watchword-auth";
import { Inbox } from "watchword-auth/testing";
import { generate } from "../scripts/openapi.mjs";
import { startServer } from "./kit.mjs";

let server, watchword, inbox;
let people = 0;
const newPerson = () => `person${++people}@example.com`;

before(async () => {
  server = await startServer();
  watchword = new w.Watchword({ apiKey: "dev", baseUrl: server.url, app: "dev" });
  inbox = new Inbox({ baseUrl: server.url });
});
after(() => server.stop());

const startByMail = (to, more = {}) => watchword.challenges.create({ strategy: "otp", purpose: "sign_in", channel: "email", to, ...more });
const other = (code) => (code[0] === "9" ? "0" : "9") + code.slice(1);

/** Starts a verification by mail and returns it with its code. */
async function startVerification(subject, more = {}) {
  const to = newPerson();
  const started = await watchword.verifications.create({ purpose: "mfa", subject, methods: [{ strategy: "otp", channel: "email", to }], ...more });
  return { started, code: await inbox.code({ challenge: started.challenge.id }) };
}

test("types and codes are those of the server's OpenAPI document", async () => {
  const document = await (await fetch(`${server.url}/openapi.json`)).json();
  const now = await generate(document);
  assert.ok(now === readFileSync(new URL("../src/openapi.ts", import.meta.url), "utf8"), "src/openapi.ts is stale: run `make client-types`");
});

test("a verification is answered, and its receipt is verified and used once", async () => {
  const { started, code } = await startVerification("user_1", { nonce: "n-1", transaction: { amount: "40.00" } });
  assert.equal(started.status, "pending");
  const verified = await watchword.verifications.check(started.id, { purpose: "mfa", subject: "user_1", answer: code });
  const expected = { purpose: "mfa", subject: "user_1", nonce: "n-1", transaction: { amount: "40.00" } };
  const claims = await watchword.verifyReceipt(verified.receipt, expected);
  assert.deepEqual(claims, verified.claims);
  for (const [name, change] of Object.entries({
    "another purpose": { purpose: "sign_in" }, "another subject": { subject: "user_2" }, "another nonce": { nonce: "n-2" }, "no nonce": { nonce: undefined },
    "another transaction": { transaction: { amount: "41.00" } }, "no transaction": { transaction: undefined }, "an assurance": { acr: "phr" }, "an age": { maxAge: -1 },
  })) {
    await assert.rejects(watchword.verifyReceipt(verified.receipt, { ...expected, ...change }), w.InvalidReceiptError, name);
  }
  const used = await watchword.receipts.redeem({ receipt: verified.receipt, purpose: "mfa" });
  assert.equal(used.jti, claims.jti);
  await assert.rejects(watchword.receipts.redeem({ receipt: verified.receipt, purpose: "mfa" }), w.ReceiptUsedError);
});

test("a receipt of another server or app is refused", async () => {
  const { started, code } = await startVerification("user_1b");
  const { receipt } = await watchword.verifications.check(started.id, { purpose: "mfa", subject: "user_1b", answer: code });
  const expected = { purpose: "mfa", subject: "user_1b" };
  const jwksUrl = `${server.url}/.well-known/jwks.json`;
  for (const options of [{ issuer: server.url, app: "shop" }, { issuer: "https://verify.example.com", app: "dev", jwksUrl }]) {
    await assert.rejects(new w.ReceiptVerifier(options).verify(receipt, expected), w.InvalidReceiptError);
  }
  const [header, payload, signature] = receipt.split(".");
  const forged = Buffer.from(JSON.stringify({ ...JSON.parse(Buffer.from(payload, "base64url")), sub: "user_9" })).toString("base64url");
  await assert.rejects(watchword.verifyReceipt([header, forged, signature].join("."), { purpose: "mfa", subject: "user_9" }), w.InvalidReceiptError);
  assert.equal((await new w.ReceiptVerifier({ issuer: server.url, app: "dev" }).verify(receipt, expected)).sub, "user_1b");
});

test("a wrong answer says how many tries are left", async () => {
  const { started, code } = await startVerification("user_2");
  const check = (answer) => watchword.verifications.check(started.id, { purpose: "mfa", subject: "user_2", answer });
  await assert.rejects(check(other(code)), (error) => {
    assert.ok(error instanceof w.IncorrectAnswerError && w.isProblemOf("checkVerification", error));
    assert.equal(error.attemptsRemaining, 4);
    assert.equal(error.status, 422);
    assert.ok(error.requestId);
    return true;
  });
  for (let n = 0; n < 4; n++) await assert.rejects(check(other(code)), w.ProblemError);
  await assert.rejects(check(code), w.AttemptsExhaustedError);
});

test("methods are opened, resent and canceled", async () => {
  const to = newPerson();
  const started = await watchword.verifications.create({ purpose: "sign_in", methods: [{ strategy: "otp", channel: "email", to }, { strategy: "magiclink", to }] });
  assert.equal(started.challenge, undefined);
  const opened = await watchword.verifications.open(started.id, { method: started.methods[0].id });
  assert.equal(opened.challenge.ask, "code");
  await assert.rejects(watchword.verifications.resend(started.id), (error) => error instanceof w.ResendTooSoonError && error.retryAfter > 0);
  await assert.rejects(watchword.verifications.redeem(started.id, { handle: started.handle, purpose: "sign_in", to }), w.NotAnsweredError);
  assert.equal((await watchword.verifications.retrieve(started.id)).challenge.id, opened.challenge.id);
  const waiting = watchword.verifications.wait(started.id);
  assert.equal((await watchword.verifications.cancel(started.id)).status, "canceled");
  assert.equal((await waiting).status, "canceled");
});

test("factors are enrolled, listed, renamed and removed with a proof", async () => {
  const subject = "user/3 ?"; // an id of the app may hold anything
  const enrolment = await watchword.challenges.create({ strategy: "recovery", purpose: "enrol", subject });
  const { codes } = enrolment.public;
  const { factor } = await watchword.challenges.check(enrolment.id, { purpose: "enrol", subject, answer: codes[0] });
  assert.deepEqual((await watchword.factors.list({ subject })).map((f) => f.id), [factor.id]);
  assert.equal((await watchword.factors.retrieve(factor.id)).strategy, "recovery");
  await assert.rejects(watchword.factors.update(factor.id, { label: "Paper" }), w.ProofRequiredError);
  const prove = async (answer) => {
    const { id } = await watchword.challenges.create({ strategy: "recovery", purpose: "manage_factors", subject });
    return { authorization: (await watchword.challenges.check(id, { purpose: "manage_factors", subject, answer })).receipt };
  };
  assert.equal((await watchword.factors.update(factor.id, { label: "Paper" }, await prove(codes[1]))).label, "Paper");
  await watchword.factors.remove(factor.id, await prove(codes[2]));
  await assert.rejects(watchword.factors.retrieve(factor.id), w.UnknownFactorError);
  const admin = new w.Watchword({ apiKey: "dev-admin", baseUrl: server.url });
  assert.equal(await admin.subjects.remove(subject), undefined);
});

test("a call whose response is lost is repeated and sends one message", async () => {
  const to = newPerson();
  const keys = [];
  const losing = async (url, init) => {
    keys.push(init.headers.get("Idempotency-Key"));
    const response = await fetch(url, init);
    if (keys.length % 2) throw new TypeError("the connection broke");
    return response;
  };
  const unlucky = new w.Watchword({ apiKey: "dev", baseUrl: server.url, fetch: losing });
  const { id } = await unlucky.challenges.create({ strategy: "otp", purpose: "sign_in", channel: "email", to });
  const code = await inbox.code({ to });
  assert.equal((await inbox.list({ to })).length, 1);
  const { receipt } = await unlucky.challenges.check(id, { purpose: "sign_in", to, answer: code });
  assert.ok(receipt);
  assert.ok(keys[0] && keys[0] === keys[1] && keys[2] === keys[3] && keys[0] !== keys[2], keys.join());
});

test("an idempotency key of the caller gets the first answer again", async () => {
  const to = newPerson();
  const start = (purpose) => watchword.challenges.create({ strategy: "otp", purpose, channel: "email", to }, { idempotencyKey: "order-17" });
  assert.equal((await start("sign_in")).id, (await start("sign_in")).id);
  await assert.rejects(start("mfa"), w.IdempotencyMismatchError);
});

test("problems name what is wrong", async () => {
  const stranger = new w.Watchword({ apiKey: "wrong", baseUrl: server.url });
  await assert.rejects(stranger.challenges.retrieve("ch_1"), w.UnauthorizedError);
  await assert.rejects(watchword.challenges.retrieve("ch_1"), w.UnknownChallengeError);
  const lost = new w.Watchword({ apiKey: "dev", baseUrl: `${server.url}/wrong` }); // where browsers see a page
  await assert.rejects(lost.challenges.retrieve("ch_1"), w.NotFoundError);
  await assert.rejects(startByMail(newPerson(), { chanel: "sms" }), (error) => {
    assert.ok(error instanceof w.InvalidRequestError && !w.isProblemOf("startChallenge", error));
    assert.equal(error.errors[0].field, "chanel");
    assert.match(error.message, /chanel/);
    return true;
  });
});

test("a wait is aborted", async () => {
  const { id } = await startByMail(newPerson());
  const controller = new AbortController();
  const waiting = watchword.challenges.wait(id, { signal: controller.signal });
  setTimeout(() => controller.abort(), 20);
  await assert.rejects(waiting, { name: "AbortError" });
});

test("the inbox of the development server is read by address and by challenge", async () => {
  const to = newPerson();
  const { id } = await watchword.challenges.create({ strategy: "magiclink", purpose: "sign_in", to, return_url: "http://localhost:3000/done" });
  assert.match(await inbox.link({ to }), /\/l\//);
  assert.equal((await inbox.waitFor({ challenge: id })).to, to);
  await assert.rejects(inbox.waitFor({ to: "nobody@example.com", timeout: 60 }), { name: "TimeoutError" });
});
