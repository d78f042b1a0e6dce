import { isProblem } from "watchword-auth";
import { NotVerified } from "./verify.js";

/** Returns the HTTP status for an error. Express itself refuses what it cannot read, such as a form that is too long. */
export function statusOf(error: unknown): number {
  if (isUnreadable(error)) return error.status;
  if (isProblem(error) && error.status < 500) return error.status === 401 || error.status === 403 ? 502 : error.status;
  return error instanceof NotVerified ? 422 : 500;
}

/** Returns what the person reads about an error. What they can do nothing about is written to the log. */
export function messageFor(error: unknown): string {
  if (isUnreadable(error)) return "This form cannot be read. Please try again.";
  if (error instanceof NotVerified) return error.message || "You have not confirmed that it is you. Please begin again.";
  switch (isProblem(error) ? error.code : "") {
    case "invalid_request":
    case "destination_refused":
      return "Please give another e-mail address.";
    case "rate_limited":
    case "too_many_guesses":
      return `Too many tries. Please wait ${waitOf(error)}.`;
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
      return "This change needs a stronger confirmation, or a newer one. Please begin again.";
    case "unknown_factor":
      return "It is not set up any more.";
  }
  console.error(error);
  return "Something went wrong. Please try again later.";
}

/** Reports whether Express has refused a request, with a status of its own. */
function isUnreadable(error: unknown): error is Error & { status: number } {
  return error instanceof Error && !isProblem(error) && "status" in error && Number(error.status) >= 400 && Number(error.status) < 500;
}

function waitOf(error: unknown): string {
  const seconds = isProblem(error) ? (error.retryAfter ?? 60) : 60;
  return seconds < 120 ? `${Math.ceil(seconds)} seconds` : `${Math.ceil(seconds / 60)} minutes`;
}
