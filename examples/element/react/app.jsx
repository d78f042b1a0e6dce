// The same sign-in as in ../plain, with React. React sets attributes of elements that it does not know, and adds listeners for onName.
import { StrictMode, useCallback, useEffect, useState } from "react";
import { createRoot } from "react-dom/client";

async function post(path, body) {
  const response = await fetch(path, { method: "POST", body });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.message);
  return answer;
}

/** Shows a verification. onApproved gets { verification, return_code } for the backend, which redeems. */
function Verification({ id, ticket, onApproved, onEnded, onError }) {
  return (
    <watchword-verification
      id={id}
      ticket={ticket}
      onapproved={(event) => onApproved(event.detail)}
      onended={(event) => onEnded(event.detail)}
      onerror={(event) => onError(event.detail)}
    >
      One moment…
    </watchword-verification>
  );
}

function SignIn({ onSignedIn, onMessage }) {
  const [shown, setShown] = useState(null); // the verification, and the address that it is for

  const start = useCallback(async (email) => {
    try {
      onMessage("");
      setShown({ email, ...(await post("/start", new URLSearchParams(email ? { email } : {}))) });
    } catch (error) {
      onMessage(error.message);
    }
  }, [onMessage]);
  useEffect(() => void start(""), [start]);

  async function finish(detail) {
    try {
      await post("/finish", JSON.stringify(detail)); // the event alone proves nothing
      onSignedIn();
    } catch (error) {
      onMessage(error.message);
      start("");
    }
  }

  return (
    <>
      {!shown?.email && (
        <>
          <form onSubmit={(event) => { event.preventDefault(); start(new FormData(event.target).get("email")); }}>
            <label>E-mail <input name="email" type="email" autoComplete="username webauthn" required /></label>
            <button>Continue</button>
          </form>
          <p className="or">or</p>
        </>
      )}
      {shown && (
        <Verification
          key={shown.id}
          id={shown.id}
          ticket={shown.ticket}
          onApproved={finish}
          onEnded={() => start("")} // canceled, or the page was open for longer than a verification lives
          onError={({ code }) => code !== "unavailable" && start("")}
        />
      )}
    </>
  );
}

function App() {
  const [me, setMe] = useState(null);
  const [message, setMessage] = useState("");
  const load = useCallback(async () => {
    const answer = await (await fetch("/me")).json();
    await import(answer.element); // defines the element
    setMe(answer);
  }, []);
  useEffect(() => void load(), [load]);
  return (
    <>
      <h1>Example Garden</h1>
      <p role="status">{message}</p>
      {me && !me.email && <SignIn onSignedIn={load} onMessage={setMessage} />}
      {me?.email && (
        <>
          <p>You are signed in as <b>{me.email}</b>.</p>
          {!me.has_passkey && (
            <form onSubmit={async (event) => { event.preventDefault(); location.assign((await post("/passkey")).page_url); }}>
              <button>Add a passkey</button>
            </form>
          )}
          <form onSubmit={async (event) => { event.preventDefault(); await post("/sign-out"); load(); }}>
            <button className="second">Sign out</button>
          </form>
        </>
      )}
      <p className="quiet">Messages are in the <a href="/inbox" target="_blank">inbox</a>.</p>
    </>
  );
}

createRoot(document.getElementById("root")).render(<StrictMode><App /></StrictMode>);
