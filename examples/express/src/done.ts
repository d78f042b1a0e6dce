import { Router } from "express";
import { changeFactors } from "./factors.js";
import { messageFor } from "./messages.js";
import { changePassword } from "./reset.js";
import { saveSession, sessionOf } from "./sessions.js";
import { finishFirstStep, signInAs } from "./sign-in.js";
import { findUserById } from "./users.js";
import { collect } from "./verify.js";

/** The page to which watchword's page sends the browser. Every path leads on to an address without the return code. */
export const done = Router();

done.get("/done", async (req, res) => {
  res.set("Referrer-Policy", "no-referrer");
  try {
    const { question, claims, receipt } = await collect(req, res);
    switch (question.purpose) {
      case "sign_in":
        return await finishFirstStep(req, res, question, claims);
      case "mfa":
        return signInAs(req, res, findUserById(question.subject));
      case "password_reset":
        return changePassword(req, res, question);
      case "manage_factors":
        return await changeFactors(req, res, question, receipt);
    }
  } catch (error) {
    saveSession(req, res, { ...sessionOf(req), message: messageFor(error) });
    res.redirect(303, "/");
  }
});
