// What a TypeScript program writes with the types of openapi-typescript and the client of @hey-api/openapi-ts.
import type { components, paths } from "./types";
import { checkChallenge, checkVerification, openMethod, startChallenge, startVerification } from "./client";

type Started = paths["/v1/challenges"]["post"]["responses"][201]["content"]["application/json"];
type Problem = components["schemas"]["Problem"];

export async function signIn(to: string, code: (challenge: Started) => Promise<string>): Promise<string | Problem["code"]> {
  const start: components["schemas"]["StartRequest"] = { strategy: "otp", purpose: "sign_in", channel: "sms", to };
  const { data: started, error } = await startChallenge({ body: start });
  if (error) return error.code;
  const checked = await checkChallenge({ path: { id: started.id }, body: { purpose: "sign_in", to, answer: await code(started as Started) } });
  return checked.error ? checked.error.code : checked.data.receipt;
}

// What public has depends on ask. The options of keys are what the browser's own functions take.
export function show(challenge: Started): string | PublicKeyCredentialRequestOptions | PublicKeyCredentialCreationOptions {
  switch (challenge.ask) {
    case "code": return challenge.public.codes?.join(" ") ?? (challenge.public.letters ? "letters" : "digits");
    case "link": return challenge.public.number ?? "";
    case "scan": return challenge.public.qr;
    case "key": return PublicKeyCredential.parseRequestOptionsFromJSON(challenge.public);
    case "new_key": return PublicKeyCredential.parseCreationOptionsFromJSON(challenge.public);
  }
}

// A credential is an object of any members.
export const withKey = (id: string, credential: components["schemas"]["Credential"]) =>
  checkChallenge({ path: { id }, body: { purpose: "sign_in", subject: "user_42", answer: credential } });

// A verification is pending, or a trusted device has answered it. The challenge of a method is typed by ask.
export async function verify(to: string, code: () => Promise<string>): Promise<string> {
  const { data: started } = await startVerification({ body: { purpose: "mfa", subject: "user_42", methods: [{ strategy: "webauthn" }, { strategy: "otp", channel: "sms", to }] } });
  if (!started) throw new Error();
  if (started.status === "approved") return started.receipt;
  if (started.challenge?.ask === "key") await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(started.challenge.public) });
  const { data: opened } = await openMethod({ path: { id: started.id }, body: { method: started.methods[0].id } });
  const { data: checked } = await checkVerification({ path: { id: started.id }, body: { purpose: "mfa", subject: "user_42", answer: await code(), method: opened?.method } });
  return checked?.device_token ?? started.handle;
}
