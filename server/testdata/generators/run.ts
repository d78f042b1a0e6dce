// Calls the server with the types of openapi-typescript and the client of @hey-api/openapi-ts. Its arguments are the URL of the
// server, an API key, and a URL below which the codes are that were sent, by the id of the challenge.
import type { components, paths } from "./types";
import { checkVerification, openMethod, startVerification } from "./client";
import { client } from "./client/client.gen";
import { signIn } from "./example";

declare const process: { argv: string[] };

const [url = "", key = "", codes = ""] = process.argv.slice(2);
const to = "+14155550123";
const codeOf = async (id: string) => (await fetch(`${codes}/${id}`)).text();
const wrong = (code: string) => (code.startsWith("9") ? "0" : "9") + code.slice(1);

function expect(what: string, holds: boolean): void {
  if (!holds) throw new Error(what);
}

// post is what a program writes that has types alone.
async function post<P extends keyof paths, Body, Result>(path: P, id: string, body: Body): Promise<Result | components["schemas"]["Problem"]> {
  const headers = { Authorization: `Bearer ${key}`, "Content-Type": "application/json" };
  return (await fetch(url + path.replace("{id}", id), { method: "POST", headers, body: JSON.stringify(body) })).json();
}

async function withTypes(): Promise<void> {
  type Start = paths["/v1/challenges"]["post"];
  type Check = paths["/v1/challenges/{id}/check"]["post"];
  type Checked = Check["responses"][200]["content"]["application/json"];
  type Body = Check["requestBody"]["content"]["application/json"];
  const started = await post<"/v1/challenges", Start["requestBody"]["content"]["application/json"], Start["responses"][201]["content"]["application/json"]>(
    "/v1/challenges", "", { strategy: "otp", purpose: "sign_in", channel: "sms", to });
  if ("code" in started || started.ask !== "code") throw new Error(JSON.stringify(started));
  expect("a code has six digits", started.public.length === 6);
  const code = await codeOf(started.id);
  const check = (answer: string) => post<"/v1/challenges/{id}/check", Body, Checked>("/v1/challenges/{id}/check", started.id, { purpose: "sign_in", to, answer });
  const refused = await check(wrong(code));
  expect("a wrong code is refused", "code" in refused && refused.code === "incorrect_answer" && refused.attempts_remaining === 4);
  const checked = await check(code);
  expect("the right code is approved", "claims" in checked && checked.claims.jti === started.id);
}

async function withClient(): Promise<void> {
  client.setConfig({ baseUrl: url, auth: key });
  expect("a wrong code is refused", (await signIn(to, async (c) => wrong(await codeOf(c.id)))) === "incorrect_answer");
  expect("the right code gets a receipt", (await signIn(to, (c) => codeOf(c.id))).startsWith("eyJ"));
  const { data: started } = await startVerification({ body: { purpose: "mfa", methods: [{ strategy: "otp", channel: "sms", to }, { strategy: "otp", channel: "voice", to }] } });
  if (started?.status !== "pending") throw new Error(JSON.stringify(started));
  const { data: opened } = await openMethod({ path: { id: started.id }, body: { method: started.methods[1].id } });
  if (opened?.challenge?.ask !== "code") throw new Error(JSON.stringify(opened));
  const { data: checked } = await checkVerification({ path: { id: started.id }, body: { purpose: "mfa", to, answer: await codeOf(opened.challenge.id) } });
  expect("the method was answered", checked?.method === started.methods[1].id && checked.claims.verification === started.id);
}

withTypes().then(withClient).then(() => console.log("verified"));
