"use server";

import { redirect } from "next/navigation";
import { origin } from "../lib/config";
import { messageFor } from "../lib/messages";
import { currentSession, saveSession } from "../lib/sessions";
import { findUser, newUserId, normalizeEmail } from "../lib/users";
import { ask, collect, currentClient, watchword } from "../lib/verify";

// Next.js refuses actions that a page of another origin sends. Anybody can send any arguments to them.

/** What the form of the address shows after an error. */
export interface FormState {
  email: string;
  message: string;
}

/** Sends a code, or a link if the person chooses that, whoever has the address: people without an account get one. */
export async function signInByMail(_before: FormState, form: FormData): Promise<FormState> {
  const to = normalizeEmail(String(form.get("email") ?? ""));
  let next: string;
  try {
    const methods = [{ strategy: "otp" as const, channel: "email", to }, { strategy: "magiclink" as const, to }];
    next = await ask({ purpose: "sign_in", subject: findUser(to)?.id ?? newUserId(), email: to }, methods);
  } catch (error) {
    return { email: to, message: messageFor(error) };
  }
  redirect(next);
}

export async function signInWithPasskey(): Promise<void> {
  let next = "/";
  try {
    next = await ask({ purpose: "sign_in" }, [{ strategy: "webauthn" }]);
  } catch (error) {
    await saveSession({ message: messageFor(error) });
  }
  redirect(next);
}

/** Collects the answer after the element's event. */
export async function finish(event: { verification: string; return_code: string }): Promise<void> {
  let next = "/";
  try {
    next = await collect(String(event?.verification), String(event?.return_code));
  } catch (error) {
    await saveSession({ ...(await currentSession()), message: messageFor(error) });
  }
  redirect(next);
}

export async function signOut(): Promise<void> {
  await saveSession({});
  redirect("/");
}

/** Sends the browser to watchword's page on which a factor is set up: the element answers questions only. */
export async function enrol(form: FormData): Promise<void> {
  const { user } = await currentSession();
  if (!user) redirect("/");
  const strategy = form.get("strategy") === "totp" ? "totp" : "webauthn";
  let next = "/";
  try {
    const { id, handle, page_url } = await watchword.challenges.create({
      strategy, purpose: "enrol", subject: user.id, metadata: { account: user.email },
      return_url: `${origin}/done`, client: await currentClient(),
    });
    await saveSession({ user, enrolment: { id, handle } });
    next = page_url ?? next;
  } catch (error) {
    await saveSession({ user, message: messageFor(error) });
  }
  redirect(next);
}
