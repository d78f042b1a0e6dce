// A request as what an app writes for it: a command of curl, a call of the TypeScript client, a call of the Go client.
//
// A request has method, path, body and key (an API key, or empty). The request for the server's keys also has verify: the claims of
// the receipt that is verified with them.

const { publicUrl, key, adminKey, app } = document.body.dataset;
const width = 62; // characters of an object on one line, at most

// What the clients call each operation; ids in the path become the first arguments.
const operations = [
  ["POST", /^\/v1\/(challenge|verification)s$/, { ts: "create", go: "Start", type: (what) => (what === "Challenge" ? "StartRequest" : "VerificationRequest"), result: "started" }],
  ["POST", /^\/v1\/(challenge|verification)s\/([\w-]+)\/check$/, { ts: "check", go: "Check", type: () => "CheckRequest", result: "approved" }],
  ["POST", /^\/v1\/(challenge|verification)s\/([\w-]+)\/redeem$/, { ts: "redeem", go: "Redeem", type: () => "RedeemRequest", result: "approved" }],
  ["GET", /^\/v1\/(challenge|verification)s\/([\w-]+)\?wait=\d+$/, { ts: "wait", go: "Wait", result: "ended" }],
];

const capital = (word) => word[0].toUpperCase() + word.slice(1);
const quote = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

// list writes items between brackets, on one line if they fit. pad is what stands between brackets and items then.
function list(open, items, close, indent, pad = "") {
  const line = open + pad + items.join(", ") + pad + close;
  if (items.length === 0) return open + close;
  if (line.length <= width && !line.includes("\n")) return line;
  return `${open}\n${items.map((item) => indent + item.replaceAll("\n", "\n" + indent) + ",\n").join("")}${close}`;
}

// spaced writes JSON on one line, as documents show it.
const spaced = (value) => JSON.stringify(value, null, 1).replaceAll(/\n\s*/g, (_, at, all) => ("]}".includes(all[at + _.length]) || "[{".includes(all[at - 1]) ? "" : " "));

function curl({ method, path, body, key }) {
  const url = location.origin + path;
  let line = `curl -sS ${path.includes("?") ? quote(url) : url}`;
  if (method !== "GET" && !(method === "POST" && body)) line += ` -X ${method}`;
  if (key) line += ` \\\n  -H 'Authorization: Bearer ${key}'`;
  if (body) line += ` -H 'Content-Type: application/json' \\\n  -d ${quote(spaced(body))}`;
  return line;
}

// A credential is the browser's answer for a passkey: an object, which an app passes on as it is.
const credentialNote = (body) => (typeof body?.answer !== "object" ? "" : `// credential: what ${body.purpose === "enrol" ? "register" : "authenticate"}(public) of /webauthn.js returned in the browser\n`);

/* TypeScript */

function tsValue(value) {
  if (Array.isArray(value)) return list("[", value.map(tsValue), "]", "  ");
  if (typeof value !== "object") return JSON.stringify(value);
  return list("{", Object.entries(value).map(([name, member]) => {
    if (name === "answer" && typeof member === "object") return "answer: credential";
    if (name === "receipt") return "receipt";
    return `${name}: ${tsValue(member)}`;
  }), "}", "  ", " ");
}

function expectation({ purpose, sub, address_hash: addressHash, transaction }) {
  return { purpose, ...(sub ? { subject: sub } : { addressHash }), ...(transaction && { transaction }) };
}

function typescript(request) {
  const { method, path, body, verify } = request;
  if (verify) return `const claims = await watchword.verifyReceipt(receipt, ${tsValue(expectation(verify))});`;
  const url = new URL(path, location.origin);
  if (url.pathname === "/inbox/messages") return `const messages = await inbox.list(${tsValue({ to: url.searchParams.get("to") })});`;
  const client = request.key === adminKey ? "admin" : "watchword";
  if (url.pathname === "/v1/factors") return `const factors = await ${client}.factors.list(${tsValue({ subject: url.searchParams.get("subject") })});`;
  if (url.pathname === "/v1/receipts/redeem") return `const claims = await ${client}.receipts.redeem(${tsValue(body)});`;
  const open = path.match(/^\/v1\/verifications\/([\w-]+)\/open$/);
  if (open) return `const opened = await ${client}.verifications.open("${open[1]}", ${tsValue(body)});`;
  const [{ ts, result }, what, id] = find(method, path);
  const name = result !== "approved" ? result : body.purpose === "enrol" ? "{ factor }" : "{ receipt, claims }";
  const args = [id && JSON.stringify(id), body && tsValue(body)].filter(Boolean).join(", ");
  return `${credentialNote(body)}const ${name} = await ${client}.${what}s.${ts}(${args});`;
}

/* Go */

const goName = (name) => name.split("_").map((word) => (word === "url" || word === "id" ? word.toUpperCase() : capital(word))).join("");
const goMap = (value) => list("map[string]string{", Object.entries(value).map(([name, text]) => `${JSON.stringify(name)}: ${JSON.stringify(text)}`), "}", "\t");

function goField(name, value) {
  if (name === "answer") return typeof value === "string" ? `client.Text(${JSON.stringify(value)})` : "client.Credential(credential)";
  if (name === "transaction") return goMap(value);
  if (name === "methods") return list("[]client.MethodRequest{", value.map((method) => goStruct("", method)), "}", "\t");
  return JSON.stringify(value);
}

const goStruct = (type, value) => list(type + "{", Object.entries(value).map(([name, member]) => `${goName(name)}: ${goField(name, member)}`), "}", "\t");

function go(request) {
  const { method, path, body, verify } = request;
  if (verify) {
    const { purpose, subject, addressHash, transaction } = expectation(verify);
    const expect = { purpose, audience: app, ...(subject ? { subject } : { address_hash: addressHash }), ...(transaction && { transaction }) };
    return `claims, err := verifier.Verify(ctx, approved.Receipt, ${goStruct("receipt.Expect", expect)})`;
  }
  const url = new URL(path, location.origin);
  if (url.pathname === "/inbox/messages") return `messages, err := inbox.List(ctx, clienttest.Query{To: ${JSON.stringify(url.searchParams.get("to"))}})`;
  const client = request.key === adminKey ? "admin" : "c";
  if (url.pathname === "/v1/factors") return `factors, err := ${client}.ListFactors(ctx, ${JSON.stringify(url.searchParams.get("subject"))})`;
  if (url.pathname === "/v1/receipts/redeem") return `claims, err := ${client}.RedeemReceipt(ctx, approved.Receipt, ${JSON.stringify(body.purpose)})`;
  const open = path.match(/^\/v1\/verifications\/([\w-]+)\/open$/);
  if (open) return `opened, err := ${client}.OpenMethod(ctx, "${open[1]}", ${JSON.stringify(body.method)})`;
  const [{ go: verb, type, result }, what, id] = find(method, path);
  const args = ["ctx", id && JSON.stringify(id), body && goStruct("client." + type(capital(what)), body)].filter(Boolean).join(", ");
  return `${credentialNote(body)}${result}, err := ${client}.${verb}${capital(what)}(${args})`;
}

function find(method, path) {
  for (const [wanted, pattern, names] of operations) {
    const found = wanted === method && path.match(pattern);
    if (found) return [names, found[1], found[2]];
  }
  throw new Error(`no client call is known for ${method} ${path}`);
}

/** How requests are written, by language. */
export const languages = { curl, typescript, go };

/** What an app writes once, before the calls. */
export const setups = {
  typescript: `// npm install watchword-auth jose
import { Watchword } from "watchword-auth";
import { Inbox } from "watchword-auth/testing"; // development only

const watchword = new Watchword({ apiKey: "${key}", baseUrl: "${publicUrl}", app: "${app}" });
const admin = new Watchword({ apiKey: "${adminKey}", baseUrl: "${publicUrl}" });
const inbox = new Inbox({ baseUrl: "${publicUrl}" });`,
  go: `// go get github.com/watchword-auth/watchword
import (
	"context"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/client"
	"github.com/watchword-auth/watchword/client/clienttest" // development only
	"github.com/watchword-auth/watchword/receipt"
)

ctx := context.Background()
c, err := client.New(client.Config{URL: "${publicUrl}", APIKey: watchword.NewCode("${key}")})
admin, err := client.New(client.Config{URL: "${publicUrl}", APIKey: watchword.NewCode("${adminKey}")})
verifier, err := receipt.NewVerifier(receipt.VerifierConfig{Issuer: "${publicUrl}"})
inbox := clienttest.NewInbox("${publicUrl}")`,
};
