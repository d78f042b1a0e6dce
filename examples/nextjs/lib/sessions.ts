import { randomBytes } from "node:crypto";
import { cookies } from "next/headers";
import { origin } from "./config";
import { shared } from "./shared";
import type { User } from "./users";
import type { Pending } from "./verify";

/**
 * The state of one browser. What it was asked, and the handles that collect the answers, are stored here and never in a form or an
 * address, so that nobody can replace them.
 */
export interface Session {
  /** Who is signed in. */
  user?: User;
  /** The verification that the element shows. */
  pending?: Pending;
  /** The enrolment on a page of watchword. */
  enrolment?: { id: string; handle: string };
  /** What the home page says until the next step: Next.js may render it more than once. */
  message?: string;
}

/** Whether cookies are sent over https only. */
export const secure = origin.startsWith("https:");
const cookie = secure ? "__Host-session" : "session";
const lifetime = 12 * 60 * 60; // seconds
const sessions = shared("sessions", () => new Map<string, { session: Session; until: number }>());

/** Returns the session of the browser; an empty one if it has none. */
export async function currentSession(): Promise<Session> {
  const found = sessions.get((await cookies()).get(cookie)?.value ?? "");
  return found && found.until > Date.now() ? found.session : {};
}

/** Stores the session of the browser under a new id each time, so that an id from before the sign-in is worth nothing afterwards. */
export async function saveSession(session: Session): Promise<void> {
  const now = Date.now();
  for (const [id, { until }] of sessions) if (until <= now) sessions.delete(id);
  const jar = await cookies();
  sessions.delete(jar.get(cookie)?.value ?? "");
  const id = randomBytes(32).toString("base64url");
  sessions.set(id, { session, until: now + lifetime * 1_000 });
  jar.set(cookie, id, { httpOnly: true, sameSite: "lax", secure, path: "/", maxAge: lifetime });
}
