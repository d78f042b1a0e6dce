// Shows a receipt: what it says, whether its signature and claims hold, and that it works once.

import { call, copy, element } from "./api.js";
import { readClaims, verifyReceipt } from "./codes.js";
import { describe, quiet } from "./step.js";

const place = document.getElementById("receipt");
const { publicUrl: issuer, app } = document.body.dataset;

const line = (holds, words) => element("li", {}, element("span", { class: holds === undefined ? "quiet" : holds ? "good" : "bad" }, holds === undefined ? "?" : holds ? "✓" : "✗"), words);

/** Hides the receipt of an earlier journey. */
export function hideReceipt() {
  place.hidden = true;
}

/** Verifies a receipt with the server's published keys, as an app does, and shows it. */
export async function showReceipt(receipt, purpose) {
  const keySet = await call("GET", "/.well-known/jwks.json", undefined, { open: true, aside: true, verify: readClaims(receipt),
    note: "The keys with which receipts are verified. Apps fetch them seldom: libraries keep them." });
  const { header, claims, verified } = await verifyReceipt(receipt, keySet);
  const seconds = claims.exp - Date.now() / 1000;
  const errors = element("div");
  const redeem = element("button", { type: "button", click: async () => {
    errors.replaceChildren();
    try {
      await call("POST", "/v1/receipts/redeem", { receipt, purpose });
      errors.replaceChildren(element("p", { class: "good", role: "status" }, "✓ Redeemed. Another try is refused."));
    } catch (error) {
      errors.replaceChildren(describe(error));
    }
  } }, "Redeem it");
  place.replaceChildren(element("h2", {}, "Receipt"),
    element("ul", { class: "checks" },
      line(verified, verified === undefined ? `This browser cannot verify ${header.alg}; your JWT library can.` : verified ? `The signature is right: ${header.alg}, key ${header.kid} of /.well-known/jwks.json` : "The signature is wrong."),
      line(header.typ === "verification-receipt+jwt", `Its type is ${header.typ}`),
      line(claims.iss === issuer && claims.aud === app, `Issuer ${claims.iss}, audience ${claims.aud}`),
      line(claims.purpose === purpose, `Purpose ${claims.purpose}: an answer for another purpose would be refused`),
      line(seconds > 0, seconds > 0 ? `Valid for ${Math.round(seconds)} more seconds` : "It has expired.")),
    element("pre", { id: "claims" }, JSON.stringify(claims, null, 2)),
    element("details", {}, element("summary", {}, "The receipt as it is sent"), element("pre", {}, receipt)),
    quiet("A receipt proves that the person was verified, also to other services. Whoever acts on it redeems it, so that it works once."),
    element("p", { class: "row" }, redeem, element("button", { type: "button", click: () => copy(receipt) }, "Copy the receipt")), errors);
  place.hidden = false;
}
