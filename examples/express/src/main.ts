import { newApp } from "./app.js";
import { origin, port } from "./config.js";

newApp().listen(port, "localhost", (error) => {
  if (error) throw error;
  console.log(`The example: ${origin}, with the account ann@example.com and the password "correct horse"`);
});
