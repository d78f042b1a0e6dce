import { raw, Router } from "express";
import { InvalidEventError, type WatchwordEvent } from "watchword-auth";
import { eventSecret, watchword } from "./config.js";
import { findUserById } from "./users.js";

/** The endpoint to which watchword posts events. An event proves nothing: it is a notice, and a receipt is a proof. */
export const events = Router();

// Only types that this app shows. A text of the event itself would be shown as it is in no case.
const notices: Record<string, string> = {
  "factor.enrolled": "A second step was set up.",
  "factor.removed": "A second step was removed.",
  "factor.disabled": "A second step was disabled after too many wrong answers.",
  "challenge.reported": "You reported a message that you had not asked for.",
};

const kept = 10_000;
const handled = new Set<string>(); // ids; a real app keeps them where all of its processes see them, for four days

events.post("/events", raw({ type: "application/json", limit: "64kb" }), async (req, res) => {
  if (!eventSecret) return void res.sendStatus(404);
  try {
    handle(await watchword.verifyEvent(req));
  } catch (error) {
    if (!(error instanceof InvalidEventError)) throw error;
    return void res.sendStatus(400);
  }
  res.sendStatus(204);
});

function handle(event: WatchwordEvent): void {
  if (handled.has(event.id)) return; // it comes again if an answer was lost, or if somebody repeats the request
  handled.add(event.id);
  const [oldest] = handled;
  if (handled.size > kept && oldest) handled.delete(oldest);
  const notice = notices[event.type];
  if (notice) findUserById(event.data.subject)?.notices.unshift(`${event.timestamp.slice(0, 16).replace("T", " ")} UTC: ${notice}`);
}
