// What the person sees and does in a journey: a heading, forms, the message that arrived, and how it ended.

import { element, read, call } from "./api.js";

const place = document.getElementById("step");
let run = 0; // counts journeys: what belongs to an earlier one stops

/** Begins a journey. The returned function reports whether it is still the current one. */
export function begin() {
  const mine = ++run;
  place.replaceChildren(waiting("Starting…"));
  return () => mine === run;
}

/** Shows a step: its title, then its parts. A field for a code has the focus. */
export function show(title, ...parts) {
  const heading = element("h2", { tabindex: "-1" }, title);
  place.replaceChildren(heading, ...parts.filter(Boolean));
  place.hidden = false;
  place.scrollTop = 0;
  (place.querySelector("#code") ?? heading).focus({ preventScroll: true });
  const box = place.getBoundingClientRect();
  if (box.top < 0 || box.bottom > innerHeight) place.scrollIntoView({ block: box.height < innerHeight ? "nearest" : "start" });
}

export const text = (...children) => element("p", {}, ...children);
export const quiet = (...children) => element("p", { class: "quiet" }, ...children);
export const waiting = (words) => element("p", { class: "quiet waiting", role: "status" }, words);
export const button = (words, click, kind) => element("button", { type: "button", class: kind, click }, words);
export const inboxLink = (address) => element("a", { href: "/inbox?" + new URLSearchParams({ q: address }), target: "inbox" }, "Open the inbox");

/** Describes an error, with a link to what it means. */
export function describe(error) {
  const box = element("p", { class: "error", role: "alert" });
  if (error.code === "incorrect_answer") {
    box.append(`That doesn’t match. ${error.body.attempts_remaining ?? 0} tries left. `);
  } else {
    box.append(error.message + " ");
  }
  if (error.code) box.append(element("a", { href: "/problems/" + error.code, target: "_blank" }, "What does " + error.code + " mean?"));
  return box;
}

/** A form for a code, which calls check with what was typed. Wrong answers are reported in it, and what was typed stays. */
export function codeForm(label, check) {
  const input = element("input", { id: "code", autocomplete: "one-time-code", autocapitalize: "characters", spellcheck: "false", required: true });
  const errors = element("div");
  const form = element("form", {}, element("label", { for: "code" }, label),
    element("div", { class: "code" }, input, element("button", { class: "primary" }, "Check")), errors);
  async function submit() {
    errors.replaceChildren();
    try {
      await check(input.value);
    } catch (error) {
      errors.replaceChildren(describe(error));
      input.select();
    }
  }
  form.addEventListener("submit", (e) => {
    e.preventDefault();
    submit();
  });
  form.use = (code) => {
    input.value = code;
    return submit();
  };
  return form;
}

/** Waits for the message of a challenge in the inbox, and shows it in a box with what show returns for it. */
export function messageOf(challenge, address, current, actions) {
  const box = element("div", { class: "message" }, waiting("Waiting for the message…"));
  const path = "/inbox/messages?" + new URLSearchParams({ to: address });
  (async () => {
    for (let tries = 0; current(); tries++) {
      const found = (await read(path).catch(() => [])).find((m) => m.challenge_id === challenge);
      if (found) {
        await call("GET", path, undefined, { open: true, aside: true, note: "Of the development server only: in production the message goes to the person." }).catch(() => {});
        const row = element("p", { class: "row" }, ...actions(found), inboxLink(found.to));
        box.replaceChildren(element("p", { class: "quiet" }, `The message, as ${found.to} gets it:`), row, element("pre", {}, found.text.trim()));
        row.scrollIntoView({ block: "nearest" });
        return;
      }
      if (tries === 20) box.append(quiet("It is not in the inbox yet. If this server has a sender for this channel, look there."));
      await new Promise((done) => setTimeout(done, 250));
    }
  })();
  return box;
}
