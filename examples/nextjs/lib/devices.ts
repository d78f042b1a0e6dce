import { createHash } from "node:crypto";
import { cookies } from "next/headers";
import { secure } from "./sessions";

// The element offers to trust the device at a second step. Its token then answers the next second step, and is replaced each time. A browser
// that several people use has one cookie for each.
const lifetime = 30 * 24 * 60 * 60; // seconds
const cookieFor = (subject: string) => `${secure ? "__Host-" : ""}device-${createHash("sha256").update(subject).digest("hex").slice(0, 16)}`;

/** Returns the token with which a person's device is trusted; undefined if it is not. */
export async function deviceToken(subject: string): Promise<string | undefined> {
  return (await cookies()).get(cookieFor(subject))?.value;
}

/** Keeps the token of an answer, if it has one. */
export async function keepDeviceToken(subject: string | undefined, token: string | undefined): Promise<void> {
  if (subject && token) (await cookies()).set(cookieFor(subject), token, { httpOnly: true, sameSite: "lax", secure, path: "/", maxAge: lifetime });
}
