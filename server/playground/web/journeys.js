// What can be tried. Each journey uses the API as an app's backend does, one step after another.

import { call, clearRequests, element } from "./api.js";
import { nextStep, totp } from "./codes.js";
import { keep, person, replacePerson } from "./person.js";
import { hideReceipt, showReceipt } from "./receipt.js";
import { begin, button, codeForm, describe, messageOf, quiet, show, text, waiting } from "./step.js";

const publicURL = document.body.dataset.publicUrl;
const docs = document.querySelector("nav a[rel=noreferrer]").href;
const addressOf = (channel) => document.getElementById(channel === "sms" ? "phone" : "email").value.trim();

/** Runs a journey. What goes wrong before a form can say so is shown in its place. */
export async function run(name, restart) {
  const current = begin();
  hideReceipt();
  clearRequests();
  try {
    await journeys[name](current);
  } catch (error) {
    if (current()) show("That did not work", describe(error), element("p", { class: "row" }, button("Start again", restart)));
  }
}

async function finish(title, result, purpose) {
  show(title, element("p", { class: "good" }, "✓ Approved"),
    text("Your app gets a ", element("a", { href: "#receipt" }, "receipt"), ": a signed statement that works once. Here it is decoded and verified."),
    quiet("For your app: copy its calls from the requests, or follow ", element("a", { href: docs + "/ten-minutes.md", rel: "noreferrer", target: "_blank" }, "A verified sign-in in ten minutes"), "."));
  await showReceipt(result.receipt, purpose);
}

// code starts a challenge whose code is sent, shows the message, and checks what is typed.
async function code(current, channel, request, words) {
  const to = addressOf(channel);
  const { id, sent_to: sentTo } = await call("POST", "/v1/challenges", { strategy: "otp", ...request, channel, to });
  const form = codeForm("Code", async (answer) => {
    const body = { purpose: request.purpose, to, answer, ...(request.transaction && { transaction: request.transaction }) };
    await finish(words.done, await call("POST", `/v1/challenges/${id}/check`, body), request.purpose);
  });
  show(words.title, text(`We sent a code to ${sentTo}.`), form,
    messageOf(id, to, current, (m) => [button(`Use code ${m.code}`, () => form.use(m.code))]));
}

async function link(current) {
  const to = addressOf("email");
  const started = await call("POST", "/v1/challenges", { strategy: "magiclink", purpose: "sign_in", to });
  const errors = element("div");
  const useCode = async (answer) => {
    try {
      const result = await call("POST", `/v1/challenges/${started.id}/check`, { purpose: "sign_in", to, answer });
      begin(); // nothing waits for the link any more
      await finish("The code was right", result, "sign_in");
    } catch (error) {
      errors.replaceChildren(describe(error));
    }
  };
  show("Open the link", text(`We sent a link to ${started.sent_to}. Where it is opened, it asks for this number:`),
    element("p", { class: "number" }, started.public.number), waiting("Waiting for you to open the link. This page continues by itself."),
    messageOf(started.id, to, current, (m) => [element("a", { class: "button primary", href: m.link, target: "_blank" }, "Open the link"),
      m.code && button(`Or use code ${m.code}`, () => useCode(m.code))].filter(Boolean)), errors);
  while (current()) {
    const { status } = await call("GET", `/v1/challenges/${started.id}?wait=25`, undefined, { aside: true });
    if (!current()) return;
    if (status === "approved") {
      const body = { handle: started.handle, purpose: "sign_in", to };
      return finish("The link was confirmed", await call("POST", `/v1/challenges/${started.id}/redeem`, body), "sign_in");
    }
    if (status !== "pending") return show("The link was not confirmed", text(`The challenge is ${status}.`));
  }
}

const listFactors = async () => (await call("GET", "/v1/factors?" + new URLSearchParams({ subject: person.subject }), undefined, { aside: true })).factors;
const has = (factors, strategy) => factors.some((f) => f.strategy === strategy && f.status === "active");

// enrol starts an enrolment. Once somebody has a factor, changing factors needs a proof, or a key with the scope factors:admin.
async function enrol(strategy, factors) {
  const admin = factors.length > 0;
  const request = { strategy, purpose: "enrol", subject: person.subject };
  const challenge = await call("POST", "/v1/challenges", request, { admin });
  const note = admin ? quiet("This person can sign in by something already, so adding more needs a receipt of the purpose manage_factors: the person agreed. These requests use the administrator’s key dev-admin instead.") : null;
  const check = (answer) => call("POST", `/v1/challenges/${challenge.id}/check`, { purpose: "enrol", subject: person.subject, answer }, { admin });
  return { challenge, note, check };
}

async function use(strategy, purpose) {
  const challenge = await call("POST", "/v1/challenges", { strategy, purpose, subject: person.subject });
  const check = (answer) => call("POST", `/v1/challenges/${challenge.id}/check`, { purpose, subject: person.subject, answer });
  return { challenge, check };
}

// builtInApp shows the current code of the person's authenticator app, for those who have none at hand.
function builtInApp(current, useCode) {
  const box = element("div", { class: "message" }, waiting("The next code comes within 30 seconds, because each works once…"));
  (async () => {
    const step = await nextStep(person.usedStep ?? 0);
    const now = await totp(person.secret, step);
    if (!current()) return;
    box.replaceChildren(element("p", { class: "quiet" }, "The built-in authenticator app shows:"), element("p", { class: "row" }, button(`Use code ${now}`, async () => {
      keep({ usedStep: step });
      await useCode(now);
      if (box.isConnected) box.replaceWith(builtInApp(current, useCode));
    })));
  })();
  return box;
}

async function authenticatorApp(current) {
  const factors = await listFactors();
  if (person.secret && has(factors, "totp")) return useAuthenticatorApp(current);
  const { challenge, note, check } = await enrol("totp", factors);
  keep({ secret: challenge.public.secret, usedStep: 0 });
  const form = codeForm("Code that the app shows", async (answer) => {
    await check(answer);
    await useAuthenticatorApp(current, text("Your app is added. Now prove that it is you:"));
  });
  show("Add an authenticator app", note, text("Scan this with any authenticator app, or use the built-in one."),
    element("div", { class: "apps" }, element("img", { class: "qr", src: challenge.public.qr, alt: "QR code for authenticator apps" }), builtInApp(current, form.use)),
    quiet("Key: ", element("code", {}, challenge.public.secret)), form);
}

async function useAuthenticatorApp(current, intro) {
  const { check } = await use("totp", "mfa");
  const form = codeForm("Code that the app shows", async (answer) => finish("The app’s code was right", await check(answer), "mfa"));
  show("Enter the app’s code", intro, person.secret ? builtInApp(current, form.use) : null, form);
}

// keyStep asks the browser for a passkey, by itself and with a button for another try. other is what else can be done if there is none.
function keyStep(title, intro, words, ask, then, other) {
  const errors = element("div");
  const again = button(words, async () => {
    errors.replaceChildren();
    again.disabled = true;
    try {
      await then(await ask());
    } catch (error) {
      errors.replaceChildren(...(error.name === "NotAllowedError" ? [quiet("No passkey was chosen. Try again."), other ?? ""] : [describe(error)]));
    }
    again.disabled = false;
  }, "primary");
  show(title, ...intro, errors, element("p", { class: "row" }, again));
  return again;
}

const passkeys = () => import("/webauthn.js");

async function passkey(current) {
  const { available, register } = await passkeys();
  if (!available()) return show("No passkeys here", text("This browser has no passkeys, or the page is not at ", element("a", { href: publicURL }, publicURL), "."));
  const factors = await listFactors();
  if (has(factors, "webauthn")) return usePasskey();
  const { challenge, note, check } = await enrol("webauthn", factors);
  if (!current()) return;
  keyStep("Create a passkey", [note, text("Your browser asks for a fingerprint, a face or a PIN.")], "Create passkey", () => register(challenge.public), async (answer) => {
    await check(answer);
    await usePasskey(text("Your passkey is created. Now use it:"));
  }).click();
}

// usePasskey also helps those whose device has the passkey no more: somebody else has none yet, and creates one.
async function usePasskey(intro = null) {
  const { authenticate } = await passkeys();
  const other = element("p", { class: "row" }, button("Create one as somebody else", () => {
    replacePerson();
    const again = () => run("passkey", again);
    again();
  }));
  const { challenge, check } = await use("webauthn", "sign_in");
  keyStep("Use your passkey", [intro], "Use passkey", () => authenticate(challenge.public), async (answer) => finish("The passkey was accepted", await check(answer), "sign_in"), other);
}

async function recoveryCodes(current) {
  const factors = await listFactors();
  if (person.codes?.length && has(factors, "recovery")) return useRecoveryCode();
  const { challenge, note, check } = await enrol("recovery", factors);
  const { codes } = challenge.public;
  if (!current()) return;
  show("Save these codes", note, text("Each works once, for somebody who has lost everything else. Your app shows them this once."),
    element("p", { class: "codes" }, ...codes.map((one) => element("code", {}, one))),
    quiet("One of them, sent back, makes the set active. It is not used up."),
    element("p", { class: "row" }, button("I saved them", async (e) => {
      try {
        await check(codes[0]);
        keep({ codes });
        await useRecoveryCode(text("The codes are active. Now use one:"));
      } catch (error) {
        e.target.parentElement.replaceWith(describe(error));
      }
    }, "primary")));
}

const fillRecoveryCode = (form) => (person.codes?.length ? element("p", { class: "row" }, button(`Use code ${person.codes[0]}`, () => {
  const [next, ...rest] = person.codes;
  keep({ codes: rest });
  return form.use(next);
})) : null);

async function useRecoveryCode(intro) {
  const { check } = await use("recovery", "mfa");
  const form = codeForm("Recovery code", async (answer) => finish("The recovery code was right", await check(answer), "mfa"));
  show("Enter a recovery code", intro, form, fillRecoveryCode(form));
}

const returnKey = "watchword-playground-verification";

async function severalMethods(current) {
  const [email, phone] = [addressOf("email"), addressOf("sms")];
  const started = await call("POST", "/v1/verifications", { purpose: "mfa", subject: person.subject, open: "none", return_url: publicURL + "/", methods: [
    { strategy: "webauthn" }, { strategy: "totp" }, { strategy: "otp", channel: "email", to: email }, { strategy: "otp", channel: "sms", to: phone }, { strategy: "recovery" }] });
  const names = { webauthn: "Passkey", totp: "Authenticator app", recovery: "Recovery code" };
  const intro = [text("The person needs only one of these. To have more here, first add an authenticator app, a passkey or recovery codes above."),
    element("p", { class: "row" }, ...started.methods.map((m) => button(names[m.strategy] ?? `Code to ${m.sent_to}`, (e) => openMethod(current, started.id, m, m.channel === "sms" ? phone : email, e.target))))];
  show("Choose how to answer", ...intro, text("Or send the person to the hosted page, if your app shall have no page of its own for this:"), element("p", { class: "row" }, button("Open the hosted page", () => {
    sessionStorage.setItem(returnKey, JSON.stringify({ id: started.id, handle: started.handle, subject: person.subject }));
    location.assign(started.page_url);
  })));
}

async function openMethod(current, id, method, to, pressed) {
  try {
    const { challenge } = await call("POST", `/v1/verifications/${id}/open`, { method: method.id });
    const check = async (answer) => finish("One answer was enough", await call("POST", `/v1/verifications/${id}/check`, { method: method.id, purpose: "mfa", subject: person.subject, answer }), "mfa");
    if (challenge.ask === "key") {
      const { authenticate } = await passkeys();
      return keyStep("Use your passkey", [], "Use passkey", () => authenticate(challenge.public), check).click();
    }
    const form = codeForm("Code", check);
    const help = { totp: () => (person.secret ? builtInApp(current, form.use) : null), recovery: () => fillRecoveryCode(form),
      otp: () => messageOf(challenge.id, to, current, (m) => [button(`Use code ${m.code}`, () => form.use(m.code))]) };
    show("Enter the code", form, help[method.strategy]());
  } catch (error) {
    pressed.parentElement.after(describe(error));
  }
}

/** Collects the receipt when the hosted page has come back. The id and the handle are from this tab, never from the address. */
export async function comeBack() {
  const query = new URLSearchParams(location.search);
  const kept = JSON.parse(sessionStorage.getItem(returnKey) ?? "null");
  if (!query.has("verification")) return;
  history.replaceState(null, "", "/");
  sessionStorage.removeItem(returnKey);
  begin();
  if (!kept) return;
  if (query.has("error")) return show("The hosted page came back", text(`It ended without an answer: ${query.get("error")}.`));
  try {
    const body = { handle: kept.handle, purpose: "mfa", subject: kept.subject, return_code: query.get("return_code") };
    await finish("The hosted page came back", await call("POST", `/v1/verifications/${kept.id}/redeem`, body), "mfa");
  } catch (error) {
    show("The hosted page came back", describe(error));
  }
}

const payment = { amount: "40.00", currency: "EUR", payee: "ACME GmbH" };

const journeys = {
  email: (current) => code(current, "email", { purpose: "sign_in" }, { title: "Enter the code", done: "The code was right" }),
  sms: (current) => code(current, "sms", { purpose: "sign_in" }, { title: "Enter the code", done: "The code was right" }),
  payment: (current) => code(current, "email", { purpose: "payment", transaction: payment }, { title: "Approve 40.00 EUR to ACME GmbH", done: "The payment is approved" }),
  link,
  totp: authenticatorApp,
  passkey,
  recovery: recoveryCodes,
  methods: severalMethods,
};
