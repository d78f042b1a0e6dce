// The script of all the app's pages. Each part does nothing if its elements are not on the page.
import { authenticate, autofill, available, register, signal } from "/webauthn.js";

const find = (selector) => document.querySelector(selector);
const messages = { NotAllowedError: "No passkey was used.", InvalidStateError: "This device has a passkey already." };
const showError = (error) => (find("[role=status]").textContent = messages[error.name] ?? error.message);

async function post(path, body) {
  const response = await fetch(path, { method: "POST", body });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.message);
  return answer;
}

/** Starts a challenge, gets the key's answer and sends it to the app. Returns false if the browser cannot. */
async function ceremony(purpose, use) {
  const answer = await use(await post("/key/" + purpose));
  if (answer) await post("/key/answer", JSON.stringify(answer));
  return Boolean(answer);
}

/** Runs an action when a button is clicked, and then loads the first page. */
const onClick = (button, action) =>
  button?.addEventListener("click", async () => {
    try {
      await action();
      location.assign("/");
    } catch (error) {
      showError(error);
    }
  });

// Sign-in: the field suggests passkeys while the page is open. A challenge lives only five minutes, so start a new one in time.
let restart;
async function suggest() {
  restart = setTimeout(suggest, 4 * 60 * 1000);
  try {
    if (await ceremony("sign_in", autofill)) location.assign("/");
    else clearTimeout(restart);
  } catch (error) {
    if (error.name === "AbortError") return; // ended by the button or by the next suggestion
    clearTimeout(restart);
    showError(error);
  }
}
if (find("#passkey") && available()) {
  find("#passkey").hidden = false;
  suggest();
}
onClick(find("#passkey"), async () => {
  clearTimeout(restart);
  await ceremony("sign_in", authenticate);
});

// Signed in: a user with a passkey must use it before a change.
const removals = document.querySelectorAll("[data-remove]");
onClick(find("#add"), async () => {
  if (removals.length > 0) await ceremony("manage_factors", authenticate);
  await ceremony("enrol", register);
});
for (const button of removals)
  onClick(button, async () => {
    await ceremony("manage_factors", authenticate);
    await signal(await post("/key/remove", new URLSearchParams({ id: button.dataset.remove })));
  });

// The link's page: the token is in the fragment.
if (find("#token")) find("#token").value = location.hash.slice(1);
