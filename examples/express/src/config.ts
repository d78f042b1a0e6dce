import { Watchword } from "watchword-auth";

const env = process.env;

export const port = Number(env.PORT || 3000);

/** The origin under which browsers know this app. It must be one of the `return_urls` of watchword's configuration. */
export const origin = env.ORIGIN || `http://localhost:${port}`;

/** The secret of the endpoint of events (`whsec_...`). Without it there is no endpoint. */
export const eventSecret = env.EVENT_SECRET;

/** Without settings: the development server, with its key and its app. */
export const watchword = new Watchword({
  apiKey: env.WATCHWORD_KEY || "dev",
  baseUrl: env.WATCHWORD_URL || "http://localhost:8080",
  app: env.WATCHWORD_APP || "dev",
  ...(eventSecret && { eventSecrets: eventSecret }),
});
