// Reads requests as JSON, {headers, body}, one on each line, and prints for each the outcome with the secrets of the arguments.
import { createInterface } from "node:readline";
import { verifyEvent } from "watchword-auth";

for await (const line of createInterface({ input: process.stdin })) {
  const outcome = await verifyEvent(JSON.parse(line), { secrets: process.argv.slice(2) }).then((event) => `${event.type} ${event.data.subject}`, (error) => error.name);
  console.log(outcome);
}
