import { isProblem } from "watchword-auth";
import { NotVerified } from "./verify";

/** Returns what the person reads about an error. What they can do nothing about is written to the log. */
export function messageFor(error: unknown): string {
  if (error instanceof NotVerified) return error.message || "You have not confirmed that it is you. Please begin again.";
  switch (isProblem(error) ? error.code : "") {
    case "invalid_request":
    case "destination_refused":
      return "Please give another e-mail address.";
    case "rate_limited":
    case "too_many_guesses":
      return "Too many tries. Please wait a few minutes.";
    case "return_code_invalid":
    case "not_answered":
    case "receipt_used":
    case "unknown_verification":
    case "unknown_challenge":
    case "challenge_expired":
    case "challenge_canceled":
    case "attempts_exhausted":
      return "This was not confirmed in this browser, or too long ago. Please begin again.";
    case "proof_required":
      return "You have set up a second step already.";
  }
  console.error(error);
  return "Something went wrong. Please try again later.";
}
