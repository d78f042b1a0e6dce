import { randomUUID } from "node:crypto";
import { isIP } from "node:net";
import { headers } from "next/headers";
import { Watchword, type MethodParams } from "watchword-auth";
import { apiKey, appId, origin, serverUrl } from "./config";
import { deviceToken, keepDeviceToken } from "./devices";
import { currentSession, saveSession } from "./sessions";
import { addUser, findUserById, type User } from "./users";

export const watchword = new Watchword({ apiKey, baseUrl: serverUrl, app: appId });

/** What the app wants to have verified, and what it needs to go on afterwards. */
export type Question =
  | { purpose: "sign_in"; subject: string; email: string }
  | { purpose: "sign_in"; subject?: undefined } // whoever's passkey answers
  | { purpose: "mfa"; subject: string };

/** A question that waits for its answer. */
export interface Pending {
  question: Question;
  id: string;
  /** Collects the answer. It never leaves the server. */
  handle: string;
  /** Lets the element open the verification, once. */
  ticket: string;
  nonce: string;
}

/** Thrown if the browser brings something that its session has not asked for, or no answer. */
export class NotVerified extends Error {}

/**
 * Asks a question: starts a verification, and keeps it in the session. Returns the path of the next page: /verify shows it, unless a trusted
 * device has answered it by itself.
 */
export async function ask(question: Question, methods: MethodParams[]): Promise<string> {
  const { purpose, subject } = question;
  const nonce = randomUUID();
  const device_token = purpose === "mfa" ? await deviceToken(subject) : undefined;
  const started = await watchword.verifications.create({
    purpose, methods, nonce, ...(subject && { subject }), ...(device_token && { device_token }), open: "first",
    return_url: `${origin}/done`, client: await currentClient(),
  });
  await keepDeviceToken(subject, started.device_token);
  if (started.status === "approved") return finish(question, nonce, started.receipt);
  const { id, handle, ticket } = started;
  const { user } = await currentSession();
  await saveSession({ user, pending: { question, id, handle, ticket: ticket ?? "", nonce } });
  return "/verify";
}

/**
 * Takes what the element's event or the address of /done brings, and goes on. Both prove nothing: the question and the handle are those
 * of the browser's session, and the server's receipt says whether the answer was right. Returns the path of the next page.
 */
export async function collect(verification: string, return_code: string): Promise<string> {
  const { pending } = await currentSession();
  if (!pending || verification !== pending.id) throw new NotVerified();
  const { question, id, handle, nonce } = pending;
  const { purpose, subject } = question;
  const { receipt, device_token } = await watchword.verifications.redeem(id, { handle, purpose, return_code, ...(subject && { subject }) });
  await keepDeviceToken(subject, device_token);
  return finish(question, nonce, receipt);
}

/**
 * Goes on if the receipt is genuine and about this very question. A passkey signs in at once. A mailbox does so only for people who have set
 * up nothing better.
 */
async function finish(question: Question, nonce: string, receipt: string): Promise<string> {
  const { purpose, subject } = question;
  const who = subject ? { subject } : { anySubject: true as const, acr: "phr" };
  const claims = await watchword.verifyReceipt(receipt, { purpose, nonce, ...who });
  if (question.purpose === "sign_in" && question.subject) {
    const user = addUser(question.subject, question.email);
    if (await hasFactor(user)) {
      return ask({ purpose: "mfa", subject: user.id }, [{ strategy: "webauthn" }, { strategy: "totp" }]);
    }
    await saveSession({ user });
    return "/";
  }
  const user = findUserById(claims.sub);
  if (!user) throw new NotVerified("This passkey belongs to no account here.");
  await saveSession({ user }); // a new session: nothing of the one before is left
  return "/";
}

/** Reports whether a person has a passkey or an authenticator app. */
export async function hasFactor(user: User): Promise<boolean> {
  const factors = await watchword.factors.list({ subject: user.id });
  return factors.some(({ strategy }) => strategy === "webauthn" || strategy === "totp");
}

/** The client that the app serves: limits count by it. Next.js knows its address from a proxy only: let yours set this header, and
 * let nobody reach the app beside it. */
export async function currentClient(): Promise<{ ip?: string; user_agent: string }> {
  const sent = await headers();
  const ip = sent.get("x-forwarded-for")?.split(",").at(-1)?.trim();
  return { ...(ip && isIP(ip) && { ip }), user_agent: sent.get("user-agent") ?? "" };
}
