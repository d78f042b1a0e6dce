// What the app's pages do with keys. Each part looks for its own elements, so one script serves every page.
import { authenticate, autofill, available, register, signal } from "/webauthn.js";

const find = (selector) => document.querySelector(selector);
const sayings = { NotAllowedError: "No passkey was used.", InvalidStateError: "This device has a passkey already." };
const say = (error) => (find("[role=status]").textContent = sayings[error.name] ?? error.message);

async function post(path, body) {
  const response = await fetch(path, { method: "POST", body });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.message);
  return answer;
}

/** Has a key answer, and the app check it. False if the browser cannot. */
async function ceremony(purpose, use) {
  const answer = await use(await post("/key/" + purpose));
  if (answer) await post("/key/answer", JSON.stringify(answer));
  return Boolean(answer);
}

/** Runs what a button stands for, and shows the page as it is then. */
const press = (button, work) =>
  button?.addEventListener("click", async () => {
    try {
      await work();
      location.assign("/");
    } catch (error) {
      say(error);
    }
  });

// Signing in: the field suggests passkeys for as long as the page is open, though a challenge lives only five minutes.
let next;
async function suggest() {
  next = setTimeout(suggest, 4 * 60 * 1000);
  try {
    if (await ceremony("sign_in", autofill)) location.assign("/");
    else clearTimeout(next);
  } catch (error) {
    if (error.name === "AbortError") return; // the button or the next suggestion has taken over
    clearTimeout(next);
    say(error);
  }
}
if (find("#passkey") && available()) {
  find("#passkey").hidden = false;
  suggest();
}
press(find("#passkey"), async () => {
  clearTimeout(next);
  await ceremony("sign_in", authenticate);
});

// Signed in: whoever has a passkey proves it before anything changes.
const removals = document.querySelectorAll("[data-remove]");
press(find("#add"), async () => {
  if (removals.length > 0) await ceremony("manage_factors", authenticate);
  await ceremony("enrol", register);
});
for (const button of removals)
  press(button, async () => {
    await ceremony("manage_factors", authenticate);
    await signal(await post("/key/remove", new URLSearchParams({ id: button.dataset.remove })));
  });

// The link's page: the token is in the fragment.
if (find("#token")) find("#token").value = location.hash.slice(1);
