import { currentSession } from "../lib/sessions";
import { hasFactor } from "../lib/verify";
import { enrol, signInWithPasskey, signOut } from "./actions";
import { EmailForm } from "./email-form";

export default async function Home() {
  const { user, message } = await currentSession();
  if (!user) {
    return (
      <>
        <h1>Sign in</h1>
        <p role="status">{message}</p>
        <form action={signInWithPasskey}>
          <button>Sign in with a passkey</button>
        </form>
        <p className="or">or</p>
        <EmailForm />
      </>
    );
  }
  return (
    <>
      <h1>Your account</h1>
      <p role="status">{message}</p>
      <p>You are signed in as {user.email}.</p>
      <h2>Second step</h2>
      {(await hasFactor(user)) ? <p>It is asked for after the code or link.</p> : <Factors />}
      <form action={signOut}>
        <button className="second">Sign out</button>
      </form>
    </>
  );
}

function Factors() {
  return (
    <form action={enrol}>
      <button className="second" name="strategy" value="webauthn">Add a passkey</button>
      <button className="second" name="strategy" value="totp">Set up an authenticator app</button>
    </form>
  );
}
