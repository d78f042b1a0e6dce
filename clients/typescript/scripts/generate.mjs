// npm run generate: writes src/openapi.ts from the OpenAPI document of a development server. The variable WATCHWORD names its program.
import { writeFileSync } from "node:fs";
import { startServer } from "../test/kit.mjs";
import { generate } from "./openapi.mjs";

const server = await startServer();
const document = await (await fetch(`${server.url}/openapi.json`)).json();
await server.stop();
writeFileSync(new URL("../src/openapi.ts", import.meta.url), await generate(document));
