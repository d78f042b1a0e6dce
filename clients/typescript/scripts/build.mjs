// Compiles src to dist. The script for passkeys is copied, because it is the file that the server serves.
import { execFileSync } from "node:child_process";
import { cpSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
rmSync("dist", { recursive: true, force: true });
execFileSync(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "."], { stdio: "inherit" });
for (const name of ["webauthn.js", "webauthn.d.ts"]) cpSync(`src/${name}`, `dist/${name}`);
