// A receiver of events, with the official JavaScript library of Standard Webhooks. It prints its port, and one line for each request.
// A line on its standard input replaces the secret that it verifies with, and the number of requests that it answers 503.
import {createServer} from "node:http";
import {createInterface} from "node:readline";
import {Webhook} from "standardwebhooks";

let verifier, failures;
createInterface({input: process.stdin}).on("line", line => {
  const settings = JSON.parse(line);
  verifier = new Webhook(settings.secret);
  failures = settings.failures;
  console.log(JSON.stringify({ready: true}));
});

const server = createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  const line = {id: request.headers["webhook-id"], accepted: false};
  try {
    const event = verifier.verify(Buffer.concat(parts).toString(), request.headers);
    line.type = event.type;
    line.challenge = event.data.challenge_id;
    line.accepted = failures-- <= 0;
    response.statusCode = line.accepted ? 204 : 503;
  } catch (error) {
    line.error = String(error);
    response.statusCode = 401;
  }
  console.log(JSON.stringify(line));
  response.end();
});
server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({port: server.address().port})));
