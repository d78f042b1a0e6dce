import { Router, type Request, type Response } from "express";
import type { MethodParams } from "watchword-auth";
import { origin, watchword } from "./config.js";
import { messageFor } from "./messages.js";
import { accountPage, signInPage } from "./pages.js";
import { saveSession, sessionOf } from "./sessions.js";
import { secondSteps } from "./sign-in.js";
import { findUserById, type User } from "./users.js";
import { ask, clientOf, field, NotVerified, type Question } from "./verify.js";

const strategies = ["webauthn", "totp", "recovery"] as const;

/** A change of what a person has set up for the second step. */
export type Change = { add: (typeof strategies)[number] } | { remove: string };

/** An enrolment that waits for its end. */
export interface Enrolment {
  id: string;
  handle: string;
}

/** The page of a person who is signed in, on which they change what they have set up. */
export const account = Router();

account.get("/", async (req, res) => {
  const session = sessionOf(req);
  const { user, message } = session;
  const factors = user ? await watchword.factors.list({ subject: user.id }) : [];
  res.send(user ? accountPage({ user, factors, message }) : signInPage({ message }));
  delete session.message;
});

account.post("/sign-out", (req, res) => {
  saveSession(req, res, {});
  res.redirect(303, "/");
});

// The first factor needs no proof. Every further change needs one that is as strong as what is there: watchword insists on it.
account.post("/factors", async (req, res) => {
  const { user } = sessionOf(req);
  if (!user) return res.redirect(303, "/");
  const change = readChange(req);
  const factors = await watchword.factors.list({ subject: user.id });
  if (factors.length === 0 && "add" in change) return enrol(req, res, user, change.add);
  const methods = await secondSteps(user);
  const weaker: MethodParams[] = [{ strategy: "recovery" }, { strategy: "otp", channel: "email", to: user.email }];
  await ask(req, res, { purpose: "manage_factors", subject: user.id, change }, methods.length > 0 ? methods : weaker);
});

function readChange(req: Request): Change {
  const remove = field(req, "remove");
  const add = strategies.find((strategy) => strategy === field(req, "add"));
  if (remove) return { remove };
  if (!add) throw new NotVerified();
  return { add };
}

/** Makes the change that a fresh proof allows. The receipt of the proof is used up by it. */
export async function changeFactors(req: Request, res: Response, question: Extract<Question, { purpose: "manage_factors" }>, authorization: string): Promise<void> {
  const user = findUserById(question.subject);
  if (!user || sessionOf(req).user !== user) throw new NotVerified();
  if ("add" in question.change) return enrol(req, res, user, question.change.add, authorization);
  await watchword.factors.remove(question.change.remove, { authorization });
  saveSession(req, res, { user, message: "It was removed." });
  res.redirect(303, "/");
}

/** Sends the browser to the page on which a factor is set up. */
async function enrol(req: Request, res: Response, user: User, strategy: (typeof strategies)[number], authorization?: string): Promise<void> {
  const started = await watchword.challenges.create({
    strategy, purpose: "enrol", subject: user.id, metadata: { account: user.email }, ...(authorization && { authorization }),
    return_url: `${origin}/factors/done`, client: clientOf(req),
  });
  saveSession(req, res, { user, enrolment: { id: started.id, handle: started.handle } });
  res.redirect(303, started.page_url ?? "/");
}

account.get("/factors/done", async (req, res) => {
  res.set("Referrer-Policy", "no-referrer");
  const { user, enrolment } = sessionOf(req);
  if (!user) return res.redirect(303, "/");
  let message = "It is set up.";
  try {
    if (!enrolment || req.query.challenge !== enrolment.id || req.query.error) throw new NotVerified();
    const { id, handle } = enrolment;
    await watchword.challenges.redeem(id, { handle, purpose: "enrol", subject: user.id, return_code: String(req.query.return_code ?? "") });
  } catch (error) {
    message = messageFor(error);
  }
  saveSession(req, res, { user, message });
  res.redirect(303, "/");
});
