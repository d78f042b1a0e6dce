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
const server = folder && (await startServer());

const [command, ...args] = process.argv.slice(2);
const app = spawn(command, args, { stdio: "inherit", env: { ...process.env, WATCHWORD_URL: url }, shell: process.platform === "win32" });
app.once("error", (error) => stop(error.message));
app.once("exit", (code) => stop(undefined, code ?? 0));
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => app.kill(signal));

/** Builds and starts the development server, and resolves when it listens. */
async function startServer() {
  if (await isReady()) stop(`Something listens at ${url} already. If it is watchword, set WATCHWORD_URL=${url}.`);
  const program = buildServer();
  const settings = ([name]) => name.startsWith("WATCHWORD_"); // the server would take those of the app for its own
  const env = Object.fromEntries(Object.entries(process.env).filter((entry) => !settings(entry)));
  const started = spawn(program, ["serve", "--dev", "--data-dir", folder, "--log-level", "warn"], { stdio: ["ignore", "ignore", "inherit"], env });
  started.once("error", (error) => stop(`${program}: ${error.message}`));
  started.once("exit", () => stop("The development server has ended."));
  while (!(await isReady())) await new Promise((resolve) => setTimeout(resolve, 50));
  console.log(`watchword: ${url}, messages are at ${url}/inbox`);
  return started;
}

/** Returns the path of the server's program. Without Go it is the `watchword` of the PATH. */
function buildServer() {
  const program = join(folder, "watchword");
  try {
    execFileSync("go", ["build", "-o", program, "./cmd/watchword"], { cwd: clone, stdio: "inherit" });
    return program;
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
    return "watchword";
  }
}

async function isReady() {
  return fetch(`${url}/readyz`).then((response) => response.ok, () => false);
}

function stop(message, code = 1) {
  if (message) console.error(message);
  app?.kill();
  server?.removeAllListeners("exit").kill();
  if (folder) rmSync(folder, { recursive: true, force: true });
  process.exit(code);
}
