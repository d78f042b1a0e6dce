// Run by `npm install` in an example of this clone: builds the client of the clone, which is not installed from npm, and copies the
// stylesheet that the examples share.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

const client = fileURLToPath(new URL("../../clients/typescript/", import.meta.url));
const npm = (...args) => execFileSync("npm", args, { cwd: client, stdio: "inherit", shell: process.platform === "win32" });

npm("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline");
npm("run", "build");
mkdirSync("public", { recursive: true });
cpSync(new URL("../style/style.css", import.meta.url), "public/style.css");
