import { Router } from "express";
import { passwordPage } from "./pages.js";
import { sessionOf } from "./sessions.js";
import { askSecondStep, secondSteps } from "./sign-in.js";
import { checkPassword, normalizeEmail } from "./users.js";
import { field } from "./verify.js";

/** Sign-in with a password and a second step. Nobody is signed in before the second step is verified. */
export const password = Router();

password.get("/password", (req, res) => {
  const session = sessionOf(req);
  res.send(passwordPage({ message: session.message }));
  delete session.message;
});

password.post("/password", async (req, res) => {
  const email = normalizeEmail(field(req, "email"));
  res.locals.form = passwordPage.bind(null, { email });
  const user = await checkPassword(email, field(req, "password"));
  if (!user) {
    res.status(422).send(passwordPage({ email, message: "The e-mail address or the password is wrong." }));
    return;
  }
  const methods = await secondSteps(user);
  await askSecondStep(req, res, user, methods.length > 0 ? methods : [{ strategy: "otp", channel: "email", to: user.email }]);
});
