import { randomUUID } from "node:crypto";
import type { Request, Response } from "express";
import type { Claims, MethodParams } from "watchword-auth";
import { origin, watchword } from "./config.js";
import { deviceToken, keepDeviceToken } from "./devices.js";
import { saveSession, sessionOf } from "./sessions.js";
import type { Change } from "./factors.js";
import type { Password } from "./users.js";

/** What the app wants to have verified, and what it needs to go on afterwards. */
export type Question =
  | { purpose: "sign_in"; subject: string; email: string }
  | { purpose: "sign_in"; subject?: never } // whoever's passkey answers
  | { purpose: "mfa"; subject: string }
  | { purpose: "password_reset"; subject: string; password: Password }
  | { purpose: "manage_factors"; subject: string; change: Change };

/** A question that waits for its answer. */
export interface Pending {
  question: Question;
  id: string;
  handle: string;
  nonce: string;
}

/** An answer that was verified. */
export interface Answer {
  question: Question;
  claims: Claims;
  receipt: string;
}

/** Thrown if the browser comes back from something that its session has not asked, or without an answer. */
export class NotVerified extends Error {}

/**
 * Asks a question: starts a verification, keeps it in the session, and sends the browser to watchword's page. If a trusted device answers a
 * second step by itself, it returns that answer, and the browser stays.
 */
export async function ask(req: Request, res: Response, question: Question, methods: MethodParams[], decoy = false): Promise<Answer | undefined> {
  const { purpose, subject } = question;
  const nonce = randomUUID();
  const device_token = purpose === "mfa" ? deviceToken(req, subject) : "";
  const started = await watchword.verifications.create({
    purpose, methods, nonce, decoy, ...(subject && { subject }), ...(device_token && { device_token }),
    return_url: `${origin}/done`, client: clientOf(req),
  });
  keepDeviceToken(res, subject, started.device_token);
  if (started.status === "approved") return verify(question, nonce, started.receipt);
  saveSession(req, res, { ...sessionOf(req), pending: { question, id: started.id, handle: started.handle, nonce } });
  res.redirect(303, started.page_url ?? "/");
}

/**
 * Returns the answer when the browser comes back from watchword's page. The question and the handle are those of its session: if they
 * were looked up by the id in the address, an attacker's own finished verification would sign another person in as the attacker.
 */
export async function collect(req: Request, res: Response): Promise<Answer> {
  const { pending } = sessionOf(req);
  if (!pending || req.query.verification !== pending.id || req.query.error) throw new NotVerified();
  const { question, id, handle, nonce } = pending;
  const { purpose, subject } = question;
  const return_code = String(req.query.return_code ?? "");
  const { receipt, device_token } = await watchword.verifications.redeem(id, { handle, purpose, return_code, ...(subject && { subject }) });
  const answer = await verify(question, nonce, receipt);
  keepDeviceToken(res, subject, device_token);
  return answer;
}

/** Returns the answer of a receipt that is genuine and about this very question. */
async function verify(question: Question, nonce: string, receipt: string): Promise<Answer> {
  const { purpose, subject } = question;
  const who = subject ? { subject } : { anySubject: true as const, acr: "phr" };
  return { question, receipt, claims: await watchword.verifyReceipt(receipt, { purpose, nonce, ...who }) };
}

/** The client that the app serves. Limits count by it, and the page of a link names it. */
export function clientOf(req: Request): { ip: string; user_agent: string } {
  return { ip: req.ip ?? "", user_agent: req.get("User-Agent") ?? "" };
}

/** Returns a field of a form; an empty text if it is missing. */
export function field(req: Request, name: string): string {
  const value: unknown = req.body?.[name];
  return typeof value === "string" ? value : "";
}
