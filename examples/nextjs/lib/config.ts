const env = process.env;

/** The origin under which browsers know this app: one of the `origins` and `return_urls` of watchword's configuration. */
export const origin = env.ORIGIN || `http://localhost:${env.PORT || 3000}`;

/** The server of watchword. Without settings it is the development server, with its key and its app. */
export const serverUrl = env.WATCHWORD_URL || "http://localhost:8080";
export const apiKey = env.WATCHWORD_KEY || "dev";
export const appId = env.WATCHWORD_APP || "dev";
