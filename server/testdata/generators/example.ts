// What a TypeScript program writes with the types of openapi-typescript and the client of @hey-api/openapi-ts.
import type { components, paths } from "./types";
import { checkChallenge, startChallenge } from "./client";

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
