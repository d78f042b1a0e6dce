"use client";

import { useActionState } from "react";
import { signInByMail } from "./actions";

/** Asks for the address. It works without scripts too. */
export function EmailForm() {
  const [{ email, message }, action, busy] = useActionState(signInByMail, { email: "", message: "" });
  return (
    <form action={action}>
      <p role="status">{message}</p>
      <label>
        E-mail <input name="email" type="email" autoComplete="username" defaultValue={email} required />
      </label>
      <button disabled={busy}>Continue</button>
    </form>
  );
}
