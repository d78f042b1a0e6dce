import { createHash } from "node:crypto";
import type { Request, Response } from "express";
import { cookieOf, secure } from "./sessions.js";

// Watchword's page of a second step offers to trust the device. Its token then answers the next second step, and is replaced each time.
// A browser that several people use has one cookie for each.
const lifetime = 30 * 24 * 60 * 60 * 1_000;
const cookieFor = (subject: string) => `${secure ? "__Host-" : ""}device-${createHash("sha256").update(subject).digest("hex").slice(0, 16)}`;

/** Returns the token with which a person's device is trusted; an empty text if it is not. */
export const deviceToken = (req: Request, subject: string): string => cookieOf(req, cookieFor(subject));

/** Keeps the token of an answer, if it has one. */
export function keepDeviceToken(res: Response, subject: string | undefined, token: string | undefined): void {
  if (subject && token) res.cookie(cookieFor(subject), token, { httpOnly: true, sameSite: "lax", secure, path: "/", maxAge: lifetime });
}
