// The script of the playground: starts journeys, and shows the server's events.

import { element, offerLanguages, read } from "./api.js";
import { comeBack, run } from "./journeys.js";
import { keep, replacePerson } from "./person.js";

const { publicUrl } = document.body.dataset;
const events = document.getElementById("events");
const buttons = [...document.querySelectorAll("[data-try]")];
let newest = 0;

document.getElementById("elsewhere").hidden = location.origin === publicUrl;

for (const one of buttons) {
  one.addEventListener("click", () => {
    for (const b of buttons) b.ariaPressed = String(b === one);
    run(one.dataset.try, () => one.click());
  });
}

document.getElementById("new-subject").addEventListener("click", replacePerson);

function showEvent(event) {
  document.getElementById("no-events").hidden = true;
  const { type, timestamp, data } = event;
  events.prepend(element("li", {}, element("details", {}, element("summary", {}, element("span", { class: "mono" }, type),
    element("span", { class: "quiet" }, [data.channel ?? data.strategy, new Date(timestamp).toLocaleTimeString()].filter(Boolean).join(" · "))),
  element("pre", {}, JSON.stringify(event, null, 2)))));
}

async function pollEvents() {
  try {
    const found = await read("/playground/events?after=" + newest);
    newest = found.newest;
    found.events.forEach(showEvent);
  } catch {
    // The server may be restarting; the next request shows.
  }
  setTimeout(pollEvents, 1000);
}

// Events from before the page was loaded are not shown, unless it was left for a hosted page.
async function start() {
  keep();
  offerLanguages();
  const returns = new URLSearchParams(location.search).has("verification");
  if (!returns) newest = await read("/playground/events?after=0").then((found) => found.newest, () => 0);
  pollEvents();
  await comeBack();
}

start();
