// Passkeys on an app's own pages, by the requests of webauthn.NewHandler, which serves this module.
//
//   import { add, available, remove, signIn, suggest } from "/passkeys/passkeys.js";
//
// The functions resolve to true when it is done, and to false if the browser has no suggestions. They reject with the browser's
// errors, such as a NotAllowedError if the person cancels, or with an error that has the server's code, such as rate_limited, and
// retryAfter in seconds.
import { authenticate, autofill, available, register, signal } from "./webauthn.js";

export { available };

async function post(action, body) {
  const response = await fetch(new URL(action, import.meta.url), { method: "POST", body: body && JSON.stringify(body) });
  const reply = await response.json().catch(() => ({}));
  if (response.ok) return reply;
  throw Object.assign(new Error(reply.code ?? `status ${response.status}`), { code: reply.code, retryAfter: reply.retry_after });
}

// complete does what the server asks for, one step after another.
async function complete(action, use = authenticate) {
  let step = await post(action);
  while (step.challenge) {
    const name = step.register ? "register" : "authenticate";
    const answer = await (step.register ? register(step.register) : use(step.authenticate));
    if (!answer) return false;
    step = await post(action, { challenge: step.challenge, [name]: answer });
  }
  if (step.signal) await signal(step.signal).catch(() => {}); // a browser that refuses it lists the passkey, which is removed all the same
  return true;
}

let suggestion; // the last call of suggest, until signIn ends it
let renewal; // its timer

function endSuggestion() {
  suggestion = undefined;
  clearTimeout(renewal);
}

/** Signs in with a passkey that the person chooses now. */
export function signIn() {
  endSuggestion();
  return complete("sign-in");
}

/** Signs in with a passkey that the person picks from the suggestions of a form, while the page is open. signIn ends it:
 *  call it again if the person cancels that. */
export function suggest() {
  endSuggestion();
  const own = (suggestion = {});
  return new Promise((resolve, reject) => {
    const end = (settle) => (value) => {
      if (own !== suggestion || value?.name === "AbortError") return; // by signIn, or by its own renewal
      clearTimeout(renewal);
      settle(value);
    };
    // The browser refuses a request while another one is open, so one that has ended meanwhile waits for ever.
    const use = (options) => (own === suggestion ? autofill(options) : new Promise(() => {}));
    const ask = () => {
      renewal = setTimeout(ask, 4 * 60 * 1000); // a challenge lives for five minutes
      complete("sign-in", use).then(end(resolve), end(reject));
    };
    ask();
  });
}

/** Adds a passkey. Who has one already uses it first. */
export const add = () => complete("add");

/** Removes a passkey, by the id of its factor. The person uses a passkey first. */
export const remove = (id) => complete("remove?factor=" + encodeURIComponent(id));
