import type { Factor } from "watchword-auth";
import { html, list, type Html } from "./html.js";
import type { User } from "./users.js";

/** What the pages with a form show: a message, and what was typed. */
export interface FormState {
  email?: string;
  message?: string | undefined;
}

function page(title: string, message: string | undefined, body: Html): string {
  return html`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${title} – Example Shop</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/style.css">
<main>
<h1>${title}</h1>
<p role="status">${message ?? ""}</p>
${body}
</main>
</html>`.text;
}

const emailField = (email = "") => html`<label>E-mail <input name="email" type="email" autocomplete="username" value="${email}" required></label>`;

export function signInPage(state: FormState, more: FormState = {}): string {
  const { email, message } = { ...state, ...more };
  return page("Sign in", message, html`
<form method="post" action="/sign-in/passkey"><button>Sign in with a passkey</button></form>
<p class="or">or</p>
<form method="post" action="/sign-in">
${emailField(email)}
<button name="method" value="code">Send me a code</button>
<button name="method" value="link" class="second">Send me a link</button>
</form>
<p><a href="/password">Sign in with a password</a></p>`);
}

export function passwordPage(state: FormState, more: FormState = {}): string {
  const { email, message } = { ...state, ...more };
  return page("Sign in with a password", message, html`
<form method="post" action="/password">
${emailField(email)}
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<button>Continue</button>
</form>
<p><a href="/forgot">I forgot my password</a></p>
<p><a href="/">Sign in without a password</a></p>`);
}

export function resetPage(state: FormState, more: FormState = {}): string {
  const { email, message } = { ...state, ...more };
  return page("Choose a new password", message, html`
<p>We send a link to your mailbox. The new password is yours once you have confirmed it.</p>
<form method="post" action="/forgot">
${emailField(email)}
<label>New password <input name="password" type="password" autocomplete="new-password" minlength="8" required></label>
<button>Continue</button>
</form>
<p><a href="/password">Sign in with a password</a></p>`);
}

const names: Record<string, string> = { webauthn: "Passkey", totp: "Authenticator app", recovery: "Recovery codes", device: "Trusted device" };

export function accountPage({ user, factors, message }: { user: User; factors: Factor[]; message: string | undefined }): string {
  const has = (strategy: string) => factors.some((factor) => factor.strategy === strategy);
  return page("Your account", message, html`
<p>You are signed in as ${user.email}.</p>
<h2>Second step</h2>
${factors.length > 0 ? html`<ul>${list(factors, factorItem)}</ul>` : html`<p>Nothing is set up yet.</p>`}
<form method="post" action="/factors">
<button name="add" value="webauthn" class="second">Add a passkey</button>
${has("totp") ? "" : html`<button name="add" value="totp" class="second">Set up an authenticator app</button>`}
${has("webauthn") || has("totp") ? html`<button name="add" value="recovery" class="second">Make ${has("recovery") ? "new " : ""}recovery codes</button>` : ""}
</form>
${user.notices.length > 0 ? html`<h2>What happened</h2><ul>${list(user.notices, (notice) => html`<li>${notice}</li>`)}</ul>` : ""}
<form method="post" action="/sign-out"><button>Sign out</button></form>`);
}

function factorItem({ id, strategy, label, created_at, status }: Factor): Html {
  const kind = names[strategy] ?? strategy;
  const name = label && label !== kind ? `${kind}: ${label}` : kind;
  return html`<li><form method="post" action="/factors">
<span>${name}<br><span class="quiet">since ${created_at.slice(0, 10)}${status === "active" ? "" : ", disabled"}</span></span>
<button name="remove" value="${id}" aria-label="Remove: ${name}">Remove</button></form></li>`;
}
