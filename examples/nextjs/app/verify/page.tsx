import { redirect } from "next/navigation";
import { serverUrl } from "../../lib/config";
import { currentSession } from "../../lib/sessions";
import { Verification } from "./verification";

/** Shows what the session has asked. Id and ticket come from it, never from the address. */
export default async function Verify() {
  const { pending } = await currentSession();
  if (!pending) redirect("/");
  return (
    <>
      <Verification key={pending.id} id={pending.id} ticket={pending.ticket} server={serverUrl} />
      <p><a href="/">Start again</a></p>
    </>
  );
}
