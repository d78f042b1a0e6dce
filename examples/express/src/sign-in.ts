import { Router, type Request, type Response } from "express";
import type { Claims, MethodParams } from "watchword-auth";
import { watchword } from "./config.js";
import { signInPage } from "./pages.js";
import { saveSession } from "./sessions.js";
import { addUser, findUser, findUserById, newUserId, normalizeEmail, type User } from "./users.js";
import { ask, field, NotVerified, type Question } from "./verify.js";

/** Sign-in without a password: by a code or a link in a mail, or by a passkey. Who has no account gets one. */
export const signIn = Router();

signIn.post("/sign-in", async (req, res) => {
  const to = normalizeEmail(field(req, "email"));
  res.locals.form = signInPage.bind(null, { email: to });
  const method: MethodParams = field(req, "method") === "link" ? { strategy: "magiclink", to } : { strategy: "otp", channel: "email", to };
  await ask(req, res, { purpose: "sign_in", subject: findUser(to)?.id ?? newUserId(), email: to }, [method]);
});

signIn.post("/sign-in/passkey", async (req, res) => {
  await ask(req, res, { purpose: "sign_in" }, [{ strategy: "webauthn" }]);
});

/** A passkey signs in at once. A mailbox does so only for people who have set up nothing better. */
export async function finishFirstStep(req: Request, res: Response, question: Extract<Question, { purpose: "sign_in" }>, claims: Claims): Promise<void> {
  if (!question.subject) return signInAs(req, res, findUserById(claims.sub));
  const user = addUser(question.subject, question.email);
  const methods = await secondSteps(user);
  if (methods.length === 0) return signInAs(req, res, user);
  await askSecondStep(req, res, user, methods);
}

export async function askSecondStep(req: Request, res: Response, user: User, methods: MethodParams[]): Promise<void> {
  const answer = await ask(req, res, { purpose: "mfa", subject: user.id }, methods);
  if (answer) signInAs(req, res, user);
}

/** Returns the methods of the second step: none for people who have neither passkey nor authenticator app. */
export async function secondSteps(user: User): Promise<MethodParams[]> {
  const factors = await watchword.factors.list({ subject: user.id });
  const hasFactor = factors.some(({ strategy }) => strategy === "webauthn" || strategy === "totp");
  return hasFactor ? [{ strategy: "webauthn" }, { strategy: "totp" }, { strategy: "recovery" }] : [];
}

/** The session of a person who is signed in is a new one: nothing of the one before is left. */
export function signInAs(req: Request, res: Response, user: User | undefined): void {
  if (!user) throw new NotVerified("This passkey belongs to no account here.");
  saveSession(req, res, { user });
  res.redirect(303, "/");
}
