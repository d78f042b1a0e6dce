// The testing kit against a development server.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import * as w from "watchword-auth";
import { Inbox, testAddresses, testCode, testEmail, testPhone } from "watchword-auth/testing";
import { execFileSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { startServer } from "./kit.mjs";

let server, watchword, inbox, late;
before(async () => {
  server = await startServer();
  watchword = new w.Watchword({ apiKey: "dev", baseUrl: server.url });
  inbox = new Inbox({ baseUrl: server.url });
  late = { began: Date.now(), challenges: await perAddress("slow", (to) => start(to)) }; // while other tests run
});
after(() => server.stop());

/** Starts a challenge by mail or SMS and returns it with the check of a code. */
async function start(to, strategy = "otp") {
  const channel = to.includes("@") ? "email" : "sms";
  const { id } = await watchword.challenges.create({ strategy, purpose: "sign_in", channel, to });
  return { id, check: (answer = testCode) => watchword.challenges.check(id, { purpose: "sign_in", to, answer }), read: () => watchword.challenges.retrieve(id) };
}

/** Reads a challenge until its delivery has a status. */
async function waitForDelivery(challenge, status) {
  for (;;) {
    const { delivery } = await challenge.read();
    if (delivery.status === status) return;
    assert.equal(delivery.status, "queued");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const addressesOf = (persona) => [testAddresses[persona].email, testAddresses[persona].phone, testEmail(persona), testPhone(persona)];
const perAddress = (persona, run) => Promise.all(addressesOf(persona).map(run));

test("an ordinary address has the code, in its message too", () => perAddress("ordinary", async (to) => {
  const challenge = await start(to);
  await assert.rejects(challenge.check("424243"), w.IncorrectAnswerError);
  assert.equal(await inbox.code({ challenge: challenge.id }), testCode);
  assert.ok((await challenge.check()).receipt);
}));

test("the code of a link's message is fixed, the link is not", async () => {
  const challenges = await Promise.all([start(testEmail(), "magiclink"), start(testEmail(), "magiclink")]);
  const messages = await Promise.all(challenges.map(({ id }) => inbox.waitFor({ challenge: id })));
  assert.deepEqual(messages.map(({ code }) => code), [testCode, testCode]);
  assert.notEqual(messages[0].link.split("#")[1], messages[1].link.split("#")[1]);
  assert.ok((await challenges[0].check()).receipt);
});

test("an undeliverable address fails", () => perAddress("undeliverable", async (to) => {
  const challenge = await start(to);
  await waitForDelivery(challenge, "failed");
  assert.deepEqual(await inbox.list({ to }), []);
}));

test("a locked address is answered as after too many wrong answers", () => perAddress("locked", async (to) => {
  const challenge = await start(to);
  assert.equal((await challenge.read()).status, "pending");
  for (let n = 0; n < 2; n++) await assert.rejects(challenge.check(), w.AttemptsExhaustedError);
  assert.equal((await challenge.read()).status, "locked");
}));

test("an expired address is answered as after the life of its challenge", () => perAddress("expired", async (to) => {
  const challenge = await start(to);
  assert.equal((await challenge.read()).status, "pending");
  for (let n = 0; n < 2; n++) await assert.rejects(challenge.check(), w.ChallengeExpiredError);
  assert.equal((await challenge.read()).status, "expired");
}));

test("a verification has the personas too", async () => {
  for (const [persona, refusal, status] of [["locked", w.AttemptsExhaustedError, "locked"], ["expired", w.ChallengeExpiredError, "pending"]]) {
    const to = testEmail(persona);
    const { id } = await watchword.verifications.create({ purpose: "sign_in", methods: [{ strategy: "otp", channel: "email", to }] });
    await assert.rejects(watchword.verifications.check(id, { purpose: "sign_in", to, answer: testCode }), refusal);
    assert.equal((await watchword.verifications.retrieve(id)).status, status);
  }
});

test("every random number is accepted", async () => {
  const numbers = new Set(Array.from({ length: 5_000 }, () => testPhone().slice(0, 5) + "5550100"));
  assert.equal(numbers.size, 60);
  const strange = await Promise.all([...numbers].map((to) => start(to).then(() => undefined, (error) => `${to}: ${error.code}`)));
  assert.deepEqual(strange.filter((e) => e && !e.endsWith("rate_limited")), []);
});

test("the example of docs/testing.md passes", () => {
  const [, example] = /```js\n(import[\s\S]*?)```/.exec(readFileSync(new URL("../testing.md", import.meta.url), "utf8"));
  const file = new URL("./example-of-the-documentation.mjs", import.meta.url);
  writeFileSync(file, example.replaceAll("http://localhost:8080", server.url));
  try {
    const { NODE_TEST_CONTEXT: _, ...env } = process.env; // else it reports to this test
    assert.match(execFileSync(process.execPath, ["--test-reporter=tap", file.pathname], { env, encoding: "utf8" }), /\n# pass 3\n/);
  } finally {
    rmSync(file);
  }
});

test("the message of a slow address is late", async () => {
  for (const challenge of late.challenges) {
    if (Date.now() - late.began < 14_000) assert.equal((await challenge.read()).delivery.status, "queued");
    const message = await inbox.waitFor({ challenge: challenge.id, timeout: 60_000 });
    assert.equal(message.code, testCode);
    assert.ok(Date.parse(message.at) - Date.parse((await challenge.read()).created_at) >= 15_000);
    await waitForDelivery(challenge, "sent");
  }
});
