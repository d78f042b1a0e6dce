// node test/with-server.mjs COMMAND...: runs a command with the URL of a development server in the variable WATCHWORD_URL.
import { spawnSync } from "node:child_process";
import { startServer } from "./kit.mjs";

const server = await startServer();
const [command, ...args] = process.argv.slice(2);
const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8", env: { ...process.env, WATCHWORD_URL: server.url } });
await server.stop();
process.stderr.write(stderr);
process.stdout.write(stdout);
process.exitCode = status ?? 1;
