import { register, authenticate, autofill, signal } from "/webauthn.js";

async function post(path, body) {
  const response = await fetch(path, { method: "POST", body: JSON.stringify(body) });
  return response.json();
}

async function ceremony(purpose, subject, use) {
  const challenge = await post("/begin", { purpose, subject });
  try {
    return await post("/check", { id: challenge.id, purpose, subject, answer: await use(challenge.public) });
  } catch (error) {
    return { error: error.name };
  }
}

window.app = {
  enrol: (subject) => ceremony("enrol", subject, register),
  use: (purpose, subject) => ceremony(purpose, subject, authenticate),
  autofill: () => ceremony("sign_in", "", autofill),
  signal: async (what) => (await signal(what), {}),
  // Makes the browser one before Level 3.
  forget: async () => {
    delete PublicKeyCredential.parseCreationOptionsFromJSON;
    delete PublicKeyCredential.parseRequestOptionsFromJSON;
    delete PublicKeyCredential.prototype.toJSON;
    return { error: String(PublicKeyCredential.prototype.toJSON) };
  },
  // A click on a button ends a pending autofill.
  interrupted: async () => {
    const get = navigator.credentials.get.bind(navigator.credentials);
    const called = new Promise((resolve) => {
      navigator.credentials.get = (options) => {
        const answer = get(options);
        resolve();
        return answer;
      };
    });
    const suggestion = app.autofill();
    await called;
    app.use("sign_in", "");
    return suggestion;
  },
};
