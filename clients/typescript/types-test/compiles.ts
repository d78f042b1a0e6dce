// What an app writes, and what must not compile: each line after @ts-expect-error is an error.
import { isProblem, isProblemOf, unhandled, verifyEvent, Watchword, type Problem, type StartedChallenge, type WatchwordEvent } from "watchword-auth";
import { authenticate, loadElement, register, type ApprovedDetail } from "watchword-auth/browser";
import { Inbox, testAddresses, testCode, testEmail, testPhone } from "watchword-auth/testing";

const watchword = new Watchword({ apiKey: "dev", baseUrl: "http://localhost:8080", app: "dev" });
// @ts-expect-error no apiKey
new Watchword({ baseUrl: "http://localhost:8080" });
// @ts-expect-error a misspelled option
new Watchword({ apiKey: "dev", baseURL: "http://localhost:8080" });

export async function signIn(to: string, code: string): Promise<string> {
  const started = await watchword.verifications.create({ purpose: "sign_in", methods: [{ strategy: "otp", channel: "email", to }] });
  // @ts-expect-error a pending verification has no receipt
  started.receipt;
  try {
    const { receipt } = await watchword.verifications.check(started.id, { purpose: "sign_in", to, answer: code });
    return receipt;
  } catch (error) {
    if (!isProblemOf("checkVerification", error)) throw error;
    switch (error.code) {
      case "incorrect_answer": return `${error.attemptsRemaining} tries left`;
      case "rate_limited": case "too_many_guesses": return `again in ${error.retryAfter.toFixed()} seconds`;
      case "attempts_exhausted": case "challenge_approved": case "challenge_canceled": case "challenge_expired": case "factor_disabled":
      case "not_enrolled": case "unknown_factor": case "unknown_method": case "unknown_verification": return "start again";
      default: return unhandled(error);
    }
  }
}

// A trusted device may answer a start that has its token.
export async function secondStep(subject: string, token: string | undefined): Promise<string> {
  const started = await watchword.verifications.create({ purpose: "mfa", subject, methods: [{ strategy: "totp" }], ...(token ? { device_token: token } : {}) });
  if (started.status === "approved") return started.receipt;
  // @ts-expect-error no device has answered
  started.receipt;
  return started.handle;
}

// A switch that lacks one code.
export function describe(error: unknown): string {
  if (!isProblemOf("redeemReceipt", error)) throw error;
  switch (error.code) {
    case "receipt_used": return "used";
    // @ts-expect-error receipt_invalid is not handled
    default: return unhandled(error);
  }
}

export function ofEveryProblem(error: unknown): number | undefined {
  if (!isProblem(error)) return undefined;
  const problem: Problem = error;
  // @ts-expect-error only some problems have it
  problem.attemptsRemaining;
  // @ts-expect-error no such code
  if (problem.code === "wrong_answer") return 0;
  return problem.code === "incorrect_answer" ? problem.attemptsRemaining : problem.retryAfter;
}

export async function wrongRequests(): Promise<void> {
  // @ts-expect-error the purpose is missing
  await watchword.challenges.create({ strategy: "otp", channel: "sms", to: "+14155550123" });
  // @ts-expect-error a misspelled field
  await watchword.challenges.create({ strategy: "otp", purpose: "sign_in", chanel: "sms" });
  // @ts-expect-error no such strategy
  await watchword.challenges.create({ strategy: "sms", purpose: "sign_in" });
  // @ts-expect-error a number is no code: it loses leading zeros
  await watchword.challenges.check("ch_1", { purpose: "sign_in", answer: 42939 });
  // @ts-expect-error the purpose is missing
  await watchword.verifications.check("vf_1", { subject: "user_42", answer: "042939" });
  // @ts-expect-error the methods are missing
  await watchword.verifications.create({ purpose: "mfa" });
  // @ts-expect-error the handle is missing
  await watchword.verifications.redeem("vf_1", { purpose: "mfa", subject: "user_42" });
  // @ts-expect-error a challenge has no methods to open
  watchword.challenges.open;
}

export async function receipts(receipt: string): Promise<string | undefined> {
  // @ts-expect-error the purpose is missing
  await watchword.verifyReceipt(receipt, { subject: "user_42" });
  // @ts-expect-error nobody is expected
  await watchword.verifyReceipt(receipt, { purpose: "sign_in" });
  // @ts-expect-error a subject, and any
  await watchword.verifyReceipt(receipt, { purpose: "sign_in", subject: "user_42", anySubject: true });
  await watchword.verifyReceipt(receipt, { purpose: "sign_in", addressHash: "h" });
  return (await watchword.verifyReceipt(receipt, { purpose: "sign_in", anySubject: true, acr: "phr", nonce: "n", transaction: { amount: "1.00" } })).sub;
}

// What public has depends on ask; a new ask does not compile until it is shown.
export function show(challenge: StartedChallenge): string | Promise<unknown> {
  switch (challenge.ask) {
    case "code": return challenge.public.codes?.join(" ") ?? "type the code";
    case "link": return challenge.public.number ?? "";
    case "scan": return challenge.public.qr;
    case "key": return authenticate(challenge.public);
    case "new_key": return register(challenge.public);
  }
}

export async function deliveryOf(id: string): Promise<"queued" | "sent" | "delivered" | "failed" | undefined> {
  return (await watchword.verifications.retrieve(id)).challenge?.delivery?.status;
}

export async function events(request: Request): Promise<WatchwordEvent["data"]> {
  const event = await verifyEvent(request, { secrets: ["whsec_old", "whsec_new"] });
  // @ts-expect-error no such event
  if (event.type === "challenge.done") return {};
  return event.data;
}

export async function element(finish: (detail: ApprovedDetail) => void): Promise<void> {
  await loadElement("http://localhost:8080");
  const element = document.createElement("watchword-verification");
  [element.id, element.ticket] = ["vf_1", "vt_1"];
  element.addEventListener("approved", (event) => finish(event.detail));
  element.addEventListener("ended", ({ detail }) => {
    // @ts-expect-error no such end
    if (detail.status === "approved") return;
  });
  element.addEventListener("error", ({ detail }) => detail.code === "page_opened");
  // @ts-expect-error the event of an end has no return code
  element.addEventListener("ended", ({ detail }) => detail.return_code);
  // @ts-expect-error a misspelled property
  element.tiket = "vt_1";
}

export const inbox = new Inbox({ baseUrl: "http://localhost:8080" });

export const addresses: string[] = [testCode, testAddresses.locked.email, testEmail(), testEmail("slow"), testPhone("undeliverable")];
// @ts-expect-error no such persona
testEmail("blocked");
