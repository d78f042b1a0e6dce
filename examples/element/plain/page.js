// The script of the page: a sign-in with <watchword-verification>.
const find = (selector) => document.querySelector(selector);
const showMessage = (text) => (find("#message").textContent = text);

async function post(path, body) {
  const response = await fetch(path, { method: "POST", body });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.message);
  return answer;
}

/** Starts a verification and shows it: without fields by a passkey, with an address by e-mail. */
async function verify(fields) {
  const { id, ticket } = await post("/start", fields);
  const element = document.createElement("watchword-verification");
  Object.assign(element, { id, ticket });
  element.addEventListener("approved", (event) => run(async () => {
    await post("/finish", JSON.stringify(event.detail)); // the backend redeems; the event alone proves nothing
    await show();
  }));
  // A verification lives a quarter of an hour. A sign-in page that stays open longer gets another one.
  element.addEventListener("ended", (event) => run(() => (event.detail.status === "expired" && !fields ? verify() : show())));
  element.addEventListener("error", (event) => event.detail.code !== "unavailable" && run(() => show()));
  find("#element").replaceChildren(element);
}

/** Shows what fits: the sign-in, or who is signed in. */
async function show() {
  const me = await (await fetch("/me")).json();
  await import(me.element); // defines the element
  find("#sign-in").hidden = Boolean(me.email);
  find("#welcome").hidden = !me.email;
  find("#email").textContent = me.email;
  find("#passkey").hidden = me.has_passkey;
  find("#element").replaceChildren();
  if (!me.email) await verify();
}

async function run(action) {
  try {
    showMessage("");
    await action();
  } catch (error) {
    showMessage(error.message);
  }
}

function onSubmit(form, action) {
  find(form).addEventListener("submit", (event) => {
    event.preventDefault();
    run(() => action(new URLSearchParams(new FormData(event.target))));
  });
}

onSubmit("#by-mail", async (fields) => {
  await verify(fields);
  find("#sign-in").hidden = true;
});
onSubmit("#passkey", async () => location.assign((await post("/passkey")).page_url));
onSubmit("#sign-out", async () => {
  await post("/sign-out");
  await show();
});
run(show);
