import { Router, type Request, type Response } from "express";
import { resetPage } from "./pages.js";
import { endSessionsOf, saveSession } from "./sessions.js";
import { findUser, findUserById, hashPassword, newUserId, normalizeEmail } from "./users.js";
import { ask, field, NotVerified, type Question } from "./verify.js";

const shortest = 8; // characters of a password

/**
 * Password reset. The new password is typed before the verification, so that there is no state "verified, may now choose a password"
 * that could be stolen. For an address that nobody has, the verification is a decoy: it looks like a real one and sends nothing, so the
 * form reveals nobody's account.
 */
export const reset = Router();

reset.get("/forgot", (_req, res) => {
  res.send(resetPage({}));
});

reset.post("/forgot", async (req, res) => {
  const email = normalizeEmail(field(req, "email"));
  res.locals.form = resetPage.bind(null, { email });
  const typed = field(req, "password");
  if (typed.length < shortest) {
    res.status(422).send(resetPage({ email, message: `The new password needs at least ${shortest} characters.` }));
    return;
  }
  const user = findUser(email);
  const question: Question = { purpose: "password_reset", subject: user?.id ?? newUserId(), password: await hashPassword(typed) };
  await ask(req, res, question, [{ strategy: "magiclink", to: email }], !user);
});

/** Changes the password and ends every session of the user. The second step is asked for at the next sign-in as before. */
export function changePassword(req: Request, res: Response, { subject, password }: Extract<Question, { purpose: "password_reset" }>): void {
  const user = findUserById(subject);
  if (!user) throw new NotVerified();
  user.password = password;
  endSessionsOf(user);
  saveSession(req, res, { message: "Your password was changed. Please sign in." });
  res.redirect(303, "/password");
}
