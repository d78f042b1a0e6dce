import { randomBytes } from "node:crypto";
import type { Request, Response } from "express";
import { origin } from "./config.js";
import type { Enrolment } from "./factors.js";
import type { User } from "./users.js";
import type { Pending } from "./verify.js";

/**
 * The state of one browser. What it was asked, and the handles that collect the answers, are stored here and never in a form or an
 * address, so that nobody can replace them.
 */
export interface Session {
  /** Who is signed in. */
  user?: User;
  /** The verification that the browser was sent to. */
  pending?: Pending;
  /** The enrolment that the browser was sent to. */
  enrolment?: Enrolment;
  /** What the next page says. */
  message?: string;
}

/** Whether cookies are sent over https only. */
export const secure = origin.startsWith("https:");
const cookie = secure ? "__Host-session" : "session";
const lifetime = 12 * 60 * 60 * 1_000;
const sessions = new Map<string, { session: Session; until: number }>();

/** Returns the value of a cookie; an empty text if the browser sends none. */
export function cookieOf(req: Request, name: string): string {
  const cookies = (req.headers.cookie ?? "").split("; ");
  return cookies.find((c) => c.startsWith(`${name}=`))?.slice(name.length + 1) ?? "";
}

/** Returns the session of a browser; an empty one if it has none. */
export function sessionOf(req: Request): Session {
  const found = sessions.get(cookieOf(req, cookie));
  return found && found.until > Date.now() ? found.session : {};
}

/** Stores the session of a browser under a new id each time, so that an id from before the sign-in is worth nothing afterwards. */
export function saveSession(req: Request, res: Response, session: Session): void {
  const now = Date.now();
  for (const [id, { until }] of sessions) if (until <= now) sessions.delete(id);
  sessions.delete(cookieOf(req, cookie));
  const id = randomBytes(32).toString("base64url");
  sessions.set(id, { session, until: now + lifetime });
  res.cookie(cookie, id, { httpOnly: true, sameSite: "lax", secure, path: "/", maxAge: lifetime });
}

/** Ends every session of a user, also those of somebody who knew the old password. */
export function endSessionsOf(user: User): void {
  for (const [id, { session }] of sessions) {
    if (session.user?.id === user.id || session.pending?.question.subject === user.id) sessions.delete(id);
  }
}
