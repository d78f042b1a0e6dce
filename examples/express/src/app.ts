import express, { type ErrorRequestHandler, type Express, type RequestHandler } from "express";
import { origin } from "./config.js";
import { done } from "./done.js";
import { events } from "./events.js";
import { account } from "./factors.js";
import { messageFor, statusOf } from "./messages.js";
import { signInPage } from "./pages.js";
import { password } from "./password.js";
import { reset } from "./reset.js";
import { signIn } from "./sign-in.js";

/** Returns the app. Behind a proxy, `app.set("trust proxy", ...)` makes `req.ip` that of the person: watchword's limits count by it. */
export function newApp(): Express {
  const app = express();
  app.disable("x-powered-by");
  app.use(headers);
  app.use(express.static("public"));
  app.use(events); // of watchword, not of a browser, so before the check of the origin
  app.use(refuseForeignForms, express.urlencoded({ extended: false, limit: "4kb" }));
  app.use(account, signIn, password, reset, done);
  app.use(showError);
  return app;
}

const headers: RequestHandler = (_req, res, next) => {
  res.set({
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
  });
  next();
};

// Browsers name the origin of the page whose form they send. The cookie of the session is SameSite=Lax besides.
const refuseForeignForms: RequestHandler = (req, res, next) => {
  if (req.method === "GET" || req.method === "HEAD" || req.get("Origin") === origin) return next();
  res.status(403).send(signInPage({ message: `This form was not sent by a page of ${origin}. Please open that address.` }));
};

// A route that fails shows its form again, with what was typed, if it has set res.locals.form.
const showError: ErrorRequestHandler = (error, _req, res, _next) => {
  const form: typeof signInPage = res.locals.form ?? signInPage;
  res.status(statusOf(error)).send(form({ message: messageFor(error) }));
};
