// What the JavaScript of the guides uses of Express and of the app, and what drives it. The code of a guide stands between this and
// the steps of a test.
import assert from "node:assert/strict";

const handlers = {};
const app = {
  post: (path, handler) => (handlers[`POST ${path}`] = handler),
  get: (path, handler) => (handlers[`GET ${path}`] = handler),
};

// The app's own functions.
const user = { id: "user_42", email: "ann@example.com" };
let passwordOf = "the old one";
const checkPassword = async () => user;
const methodsOf = () => [{ strategy: "totp" }, { strategy: "otp", channel: "sms", to: "+14155550123" }, { strategy: "otp", channel: "email", to: user.email }];
const signIn = async (req, id) => (req.session = { signedIn: id });
const signInAs = signIn;
const findUser = async (email) => (email === user.email ? user : undefined);
const hashPassword = async (password) => password;
const changePassword = async (_, password) => (passwordOf = password);
const endAllSessions = async () => {};

// A browser keeps its session, as its cookie would.
class Browser {
  session = {};

  // send calls a handler, and returns what it answered with.
  async send(route, { body = {}, query = {} } = {}) {
    const answer = { headers: {} };
    const req = { body, query, session: this.session, ip: "203.0.113.7", get: () => "Mozilla/5.0" };
    const res = {
      set: (name, value) => (answer.headers[name] = value),
      redirect: (status, url) => Object.assign(answer, { status, redirect: url }),
      render: (page, data) => Object.assign(answer, { page, data }),
      json: (data) => Object.assign(answer, { data }),
    };
    try {
      await handlers[route](req, res);
    } catch (problem) {
      answer.problem = problem;
    }
    this.session = req.session;
    return answer;
  }

  // returnTo comes back to the app's page with the query that a hosted page added.
  returnTo(path, next) {
    return this.send(`GET ${path}`, { query: Object.fromEntries(new URL(next).searchParams) });
  }
}

const helper = async (path) => {
  const response = await fetch(process.env.WATCHWORD_URL + path);
  const text = await response.text();
  assert.ok(response.ok, text);
  return text;
};
// codeOf returns the code that was sent for a challenge.
const codeOf = (challenge) => helper(`/test/code?challenge=${challenge}`);
// answerPage opens a hosted page and answers on it by the method, and returns the address to which the page sends the browser.
const answerPage = (page, method) => helper(`/test/answer?method=${method}&page=${encodeURIComponent(page)}`);
// cancelPage opens a hosted page and cancels on it.
const cancelPage = (page) => helper(`/test/cancel?page=${encodeURIComponent(page)}`);
