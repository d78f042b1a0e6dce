// What a newcomer does: installs the packed client in an empty folder, runs the first example of the README, and compiles.
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { startServer } from "./kit.mjs";

const run = promisify(execFile);
const root = fileURLToPath(new URL("..", import.meta.url));
const readme = readFileSync(join(root, "README.md"), "utf8");
const folder = mkdtempSync(join(tmpdir(), "newcomer-"));

before(() => {
  const packed = JSON.parse(execFileSync("npm", ["pack", "--json", "--pack-destination", folder], { cwd: root, encoding: "utf8" }))[0];
  const files = packed.files.map((f) => f.path);
  assert.ok(files.includes("README.md") && files.includes("LICENSE") && files.includes("dist/index.js"), files.join());
  assert.ok(files.every((f) => /^(dist\/|README\.md$|LICENSE$|package\.json$)/.test(f)), files.join());
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
  execFileSync("npm", ["install", "--offline", "--no-audit", "--no-fund", join(folder, packed.filename)], { cwd: folder, stdio: "pipe" });
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** The block of code of the README that holds a text. */
function snippet(holds) {
  const found = [...readme.matchAll(/```(?:js|ts)\n(.*?)```/gs)].map((m) => m[1]).find((code) => code.includes(holds));
  assert.ok(found, `the README has no block of code that holds ${holds}`);
  return found;
}

test("the first example of the README signs somebody in, in 25 lines and without jose", async () => {
  const example = snippet("Inbox");
  assert.ok(example.trimEnd().split("\n").length <= 25, "more than 25 lines");
  const server = await startServer();
  try {
    writeFileSync(join(folder, "sign-in.mjs"), example.replaceAll("http://localhost:8080", server.url));
    const { stdout } = await run(process.execPath, ["sign-in.mjs"], { cwd: folder });
    assert.match(stdout, /verified: you@example\.com/);
  } finally {
    await server.stop();
  }
});

test("verifying a receipt without jose says what to install", async () => {
  writeFileSync(join(folder, "no-jose.mjs"), `import { ReceiptVerifier } from "watchword-auth";
await new ReceiptVerifier({ issuer: "https://verify.example.com", app: "shop" }).verify("a.b.c", { purpose: "sign_in", subject: "user_42" });`);
  await assert.rejects(run(process.execPath, ["no-jose.mjs"], { cwd: folder }), /npm install jose/);
});

test("right programs compile against the package, and wrong ones do not", async () => {
  cpSync(join(root, "types-test"), join(folder, "types-test"), { recursive: true });
  for (const [name, holds] of [["first", "Inbox"], ["errors", "export async function resend"]]) writeFileSync(join(folder, "types-test", `${name}.ts`), snippet(holds));
  const strict = ["--strict", "--exactOptionalPropertyTypes", "--noEmit", "--target", "es2022", "--lib", "es2022,dom,dom.iterable", "--module", "nodenext"];
  const files = ["compiles.ts", "first.ts", "errors.ts"].map((name) => `types-test/${name}`);
  await run(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), ...strict, ...files], { cwd: folder }).catch((error) => assert.fail(error.stdout));
});
