// The command `next`, which does not report how it is used.
import { createRequire } from "node:module";

process.env.NEXT_TELEMETRY_DISABLED = "1";
createRequire(import.meta.url)("next/dist/bin/next");
