// The addresses of a development server that have a fixed code, and those that fail in a known way.

/** The code of every test address. */
export const testCode = "424242";

/**
 * How a test address behaves:
 * - `ordinary`: the message arrives, and `testCode` is right.
 * - `undeliverable`: the message is refused for good. `delivery.status` becomes `failed`.
 * - `slow`: the message arrives 15 seconds late. Until then `delivery.status` is `queued`.
 * - `locked`: `testCode` is refused with `attempts_exhausted`, as after too many wrong answers.
 * - `expired`: `testCode` is refused with `challenge_expired`, as after ten minutes.
 */
export type Persona = "ordinary" | "undeliverable" | "slow" | "locked" | "expired";

/** A mailbox and a phone number (E.164) of each persona. Limits count by address: tests that start much use `testEmail` and `testPhone`. */
export const testAddresses: Readonly<Record<Persona, Readonly<{ email: string; phone: string }>>> = {
  ordinary: { email: "ordinary+test@example.com", phone: "+14155550100" },
  undeliverable: { email: "undeliverable+test@example.com", phone: "+14155550196" },
  slow: { email: "slow+test@example.com", phone: "+14155550197" },
  locked: { email: "locked+test@example.com", phone: "+14155550198" },
  expired: { email: "expired+test@example.com", phone: "+14155550199" },
};

const areaCodes = [
  201, 202, 203, 205, 206, 207, 208, 209, 210, 212, 213, 214, 215, 216, 217, 218, 219, 301, 302, 303, 304, 305, 307, 308, 309, 310, 312, 313, 314, 315,
  316, 317, 318, 319, 401, 402, 404, 405, 406, 408, 410, 412, 413, 414, 415, 417, 419, 501, 502, 503, 504, 505, 507, 508, 509, 510, 512, 513, 515, 516,
];
const ordinaryNumbers = 96; // from 0100; the last four are the other personas

/** Returns a mailbox of a persona that no other test uses. */
export function testEmail(persona: Persona = "ordinary"): string {
  return `${persona}.${crypto.randomUUID()}+test@example.com`;
}

/** Returns a random phone number of a persona, in E.164. There are 60 of each, and 5,760 ordinary ones. */
export function testPhone(persona: Persona = "ordinary"): string {
  const { phone } = testAddresses[persona];
  const last = persona === "ordinary" ? String(100 + random(ordinaryNumbers)).padStart(4, "0") : phone.slice(-4);
  return `+1${areaCodes[random(areaCodes.length)]}555${last}`;
}

function random(below: number): number {
  return Math.floor(Math.random() * below);
}
