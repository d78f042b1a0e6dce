// The person of the playground: a subject, and the authenticator app and recovery codes that this browser keeps for it.

const name = "watchword-playground";

function load() {
  try {
    const kept = JSON.parse(localStorage.getItem(name));
    if (kept?.subject) return kept;
  } catch {
    // Nothing is kept, or the browser keeps nothing.
  }
  return { subject: "user_" + crypto.randomUUID().slice(0, 8) };
}

export let person = load();

/** Keeps what has changed of the person. */
export function keep(changes = {}) {
  Object.assign(person, changes);
  try {
    localStorage.setItem(name, JSON.stringify(person));
  } catch {
    // It lasts until the page is loaded again.
  }
  document.getElementById("subject").textContent = person.subject;
}

/** Starts with a new person, without factors. */
export function replacePerson() {
  person = { subject: "user_" + crypto.randomUUID().slice(0, 8) };
  keep();
}
