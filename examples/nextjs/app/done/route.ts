import { redirect } from "next/navigation";
import type { NextRequest } from "next/server";
import { messageFor } from "../../lib/messages";
import { currentSession, saveSession } from "../../lib/sessions";
import { collect, NotVerified, watchword } from "../../lib/verify";

/**
 * The return URL: here the browser comes back from watchword's page for enrolling, and from the element's last button. The session is
 * changed only by what it has asked for itself.
 */
export async function GET(request: NextRequest): Promise<never> {
  const query = request.nextUrl.searchParams;
  const returnCode = query.get("return_code") ?? "";
  let next = "/";
  try {
    if (query.has("error")) throw new NotVerified();
    const challenge = query.get("challenge");
    if (challenge) await finishEnrolment(challenge, returnCode);
    else next = await collect(query.get("verification") ?? "", returnCode);
  } catch (error) {
    await saveSession({ ...(await currentSession()), message: messageFor(error) });
  }
  redirect(next); // to an address without the return code
}

async function finishEnrolment(id: string, return_code: string): Promise<void> {
  const { user, enrolment } = await currentSession();
  if (!user || enrolment?.id !== id) throw new NotVerified();
  await watchword.challenges.redeem(id, { handle: enrolment.handle, purpose: "enrol", subject: user.id, return_code });
  await saveSession({ user, message: "It is set up." });
}
