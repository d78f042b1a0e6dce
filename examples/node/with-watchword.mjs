// node with-watchword.mjs COMMAND...: runs a command of an example. Unless WATCHWORD_URL names a server, it starts the development
// server of this clone first, and ends it afterwards. That server stores nothing beyond its end, as the examples do not either.
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const clone = fileURLToPath(new URL("../../", import.meta.url));
const url = process.env.WATCHWORD_URL || "http://localhost:8080";
const folder = process.env.WATCHWORD_URL ? undefined : mkdtempSync(join(tmpdir(), "watchword-"));
let server, app;
let ending = false;

for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => end());
if (folder) await startServer();
const [command, ...args] = process.argv.slice(2);
app = spawn(command, args, { stdio: "inherit", env: { ...process.env, WATCHWORD_URL: url } });
app.once("error", (error) => end(error.message));
app.once("exit", (code) => end(undefined, code ?? 0));

/** Builds and starts the development server, and resolves when it listens. */
async function startServer() {
  if (await isReady()) await end(`Something listens at ${url} already. If it is watchword, set WATCHWORD_URL=${url}.`);
  const program = await buildServer();
  const ofServer = ([name]) => !name.startsWith("WATCHWORD_"); // those are settings of the app, and the server would take them for its own
  const env = Object.fromEntries(Object.entries(process.env).filter(ofServer));
  server = spawn(program, ["serve", "--dev", "--data-dir", folder, "--log-level", "warn"], { stdio: ["ignore", "ignore", "inherit"], env });
  server.once("error", (error) => end(`${program}: ${error.message}. Install Go, or set WATCHWORD_URL.`));
  server.once("exit", () => end("The development server has ended."));
  while (!(await isReady())) await new Promise((resolve) => setTimeout(resolve, 50));
  console.log(`watchword: ${url}, messages are at ${url}/inbox`);
}

/** Returns the path of the server's program. Without Go it is the `watchword` of the PATH. */
async function buildServer() {
  const program = join(folder, "watchword");
  try {
    execFileSync("go", ["build", "-o", program, "./cmd/watchword"], { cwd: clone, stdio: "inherit" });
    return program;
  } catch (error) {
    if (error.code !== "ENOENT") await end("watchword could not be built.");
    return "watchword";
  }
}

async function isReady() {
  return fetch(`${url}/readyz`).then((response) => response.ok, () => false);
}

/** Ends both, removes the folder, and ends this program. */
async function end(message, code = message ? 1 : 0) {
  if (ending) return;
  ending = true;
  if (message) console.error(message);
  for (const started of [app, server]) {
    if (started?.exitCode === null && started.kill()) await new Promise((resolve) => started.once("exit", resolve));
  }
  if (folder) rmSync(folder, { recursive: true, force: true });
  process.exit(code);
}
