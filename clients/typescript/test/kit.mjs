// Starts a development server of the program that the variable WATCHWORD names.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** Starts a server and returns its public URL and a function that ends it. */
export async function startServer() {
  const program = process.env.WATCHWORD;
  if (!program) throw new Error("set WATCHWORD to the program watchword");
  const folder = mkdtempSync(join(tmpdir(), "watchword-"));
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("WATCHWORD_"))); // those are its settings
  const server = spawn(program, ["serve", "--dev", "--listen", "127.0.0.1:0", "--data-dir", folder], { stdio: ["ignore", "ignore", "pipe"], env });
  const ended = new Promise((resolve) => server.once("exit", resolve));
  const lines = createInterface({ input: server.stderr });
  const log = [];
  const port = await new Promise((resolve, reject) => {
    lines.on("line", (line) => {
      log.push(line);
      const record = line.startsWith("{") ? JSON.parse(line) : {};
      if (record.msg === "listening") resolve(record.addr.split(":").at(-1));
    });
    ended.then(() => reject(new Error(`the server ended:\n${log.join("\n")}`)));
  });
  return {
    url: `http://localhost:${port}`,
    async stop() {
      server.kill();
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
