// Follows docs/ten-minutes.md in an empty folder, and signs in with the app of that page.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Inbox } from "watchword-auth/testing";
import { startServer } from "./kit.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const page = readFileSync(process.env.TEN_MINUTES ?? join(root, "../../docs/ten-minutes.md"), "utf8");
const blocks = (language) => [...page.matchAll(new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, "gs"))].map((m) => m[1]);
const home = mkdtempSync(join(tmpdir(), "ten-minutes-"));
let server, app, url, missing;

const freePort = () => new Promise((resolve) => {
  const listener = createServer().listen(0, "127.0.0.1", () => {
    const { port } = listener.address();
    listener.close(() => resolve(port));
  });
});

before(async () => {
  const [prepare, install, start] = blocks("sh");
  server = await startServer(); // the first commands but for its port: the test has built the server and the client already
  assert.match(prepare, /npm pack --pack-destination "\$HOME"/);
  execFileSync("npm", ["pack", "--pack-destination", home], { cwd: root, stdio: "pipe" });
  const env = { ...process.env, HOME: home, npm_config_prefer_offline: "true", npm_config_cache: process.env.npm_config_cache ?? join(process.env.HOME, ".npm") };
  try {
    execFileSync("bash", ["-eu", "-c", install], { cwd: home, env, stdio: "pipe" });
  } catch (error) {
    missing = `the packages of the app cannot be fetched: ${error.stderr}`;
    return;
  }
  const folder = join(home, "sign-in");
  const port = await freePort();
  url = `http://localhost:${port}`;
  writeFileSync(join(folder, "app.mjs"), blocks("js")[0].replaceAll("http://localhost:8080", server.url).replaceAll("3000", port));
  app = spawn("bash", ["-c", `exec ${start}`], { cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
  await new Promise((resolve, reject) => (app.stdout.once("data", resolve), app.once("exit", reject)));
});
after(async () => {
  app?.kill();
  await server?.stop();
  rmSync(home, { recursive: true, force: true });
});

/** A browser that keeps the cookie of the session. */
function newBrowser() {
  let cookie = "";
  return async function visit(path, form) {
    const response = await fetch(url + path, { redirect: "manual", headers: { cookie }, ...(form && { method: "POST", body: new URLSearchParams(form) }) });
    cookie = response.headers.getSetCookie()[0]?.split(";")[0] ?? cookie;
    return response.status === 303 ? visit(response.headers.get("Location")) : `${response.status} ${await response.text()}`;
  };
}

test("the app of the page signs in with the code, and with nothing else", async (t) => {
  if (missing) return t.skip(missing);
  const visit = newBrowser();
  const email = "ann@example.com";
  assert.match(await visit("/"), /^200 .*Send a code/s);
  assert.match(await visit("/start", { email: "nobody" }), /^400 .*no e-mail address/s);
  assert.match(await visit("/start", { email }), /^200 .*We have sent you a code/s);
  const code = await new Inbox({ baseUrl: server.url }).code({ to: email });
  assert.match(await visit("/check", { code: "12" }), /^400 .*That is no code/s);
  assert.match(await visit("/check", { code: (code[0] === "9" ? "0" : "9") + code.slice(1) }), /^422 .*Tries left: 4/s);
  assert.match(await newBrowser()("/check", { code }), /^200 .*Send a code/s, "the code alone signs another browser in");
  assert.match(await visit("/check", { code }), /^200 .*You are signed in/s);
  assert.match(await visit("/check", { code }), /^200 .*You are signed in/s);
  assert.match(await newBrowser()("/"), /^200 .*Send a code/s);
});
