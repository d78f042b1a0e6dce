// The script of all the app's pages. Each part does nothing if its elements are not on the page.
import { add, available, remove, signIn, suggest } from "/passkeys/passkeys.js";

const find = (selector) => document.querySelector(selector);
const messages = {
  NotAllowedError: "No passkey was used.",
  InvalidStateError: "This device has a passkey already.",
  not_signed_in: "Please sign in again.",
  rate_limited: "Too many tries. Please wait a while.",
  too_many_guesses: "Too many tries. Please wait a while.",
  incorrect_answer: "That was not right.",
};
const showError = (error) =>
  (find("[role=status]").textContent = messages[error.code] ?? messages[error.name] ?? "That did not work. Please begin again.");

/** Runs an action, and then loads the first page. */
async function run(action) {
  try {
    if (await action()) location.assign("/");
  } catch (error) {
    showError(error);
  }
}

// Sign-in: the field suggests passkeys while the page is open, and there is a button.
if (find("#passkey") && available()) {
  find("#passkey").hidden = false;
  find("#passkey").addEventListener("click", () => run(signIn));
  run(suggest);
}

// Signed in: a user with a passkey must use it before a change.
find("#add")?.addEventListener("click", () => run(add));
for (const button of document.querySelectorAll("[data-remove]"))
  button.addEventListener("click", () => run(() => remove(button.dataset.remove)));

// The link's page: the token is in the fragment.
if (find("#token")) find("#token").value = location.hash.slice(1);
