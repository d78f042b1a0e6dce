// What few parts need. Buttons for what a person keeps, a list of codes or a key, have data-copy, data-download or data-print. A box with
// data-save is saved. A time with data-ago gets its distance, and one with data-day is a day. A field with data-sms takes the code of a text
// message.

// makeTools lets buttons and boxes work in the parts that the element contains, and returns what completes a part.
export function makeTools(main, { post }) {
  // Choices are saved one after the other, so that the last one stays. A choice changes nothing else on the page.
  let saved = Promise.resolve();
  let unsaved = 0;
  const save = (box) => {
    unsaved++;
    saved = saved.then(() => saveNow(box)).finally(() => unsaved--);
  };

  async function saveNow(box) {
    const { checked, dataset: { save: name } } = box;
    const response = await post(name, { [name]: checked }).catch(() => null);
    if (!response?.ok && box.checked === checked) box.checked = !checked;
  }

  // A form is sent when what the person has chosen beside it is saved.
  main.addEventListener("submit", (e) => {
    if (!unsaved) return;
    e.preventDefault();
    e.stopPropagation();
    saved.then(() => { if (e.target.isConnected) e.target.requestSubmit(e.submitter); });
  }, true);
  for (const box of main.querySelectorAll("[data-save]")) if (box.checked !== box.defaultChecked) save(box); // the person was quicker than the network
  main.addEventListener("change", ({ target }) => { if (target.dataset.save) save(target); });
  main.addEventListener("click", (e) => {
    if (e.target.dataset.copy) copy(e.target);
    if (e.target.dataset.download) download(e.target);
    if ("print" in e.target.dataset) print();
  });
  return { completeTimes, readSMS };
}

// readSMS takes the code from a text message that is bound to the origin of this page (WebOTP).
async function readSMS(input, signal) {
  try {
    const { code } = await navigator.credentials.get({ otp: { transport: ["sms"] }, signal });
    input.value = code;
    input.form.requestSubmit();
  } catch {
    // No message arrived, or the person typed the code.
  }
}

function completeTimes(times, lang) {
  for (const e of times) {
    const at = new Date(e.dateTime);
    if ("ago" in e.dataset) e.textContent += ` (${describeDistance(at, lang)})`;
    if ("day" in e.dataset) e.textContent = at.toLocaleDateString(lang, { dateStyle: "long" });
  }
}

function describeDistance(at, lang) {
  const minutes = Math.min(Math.round((at - Date.now()) / 60000), 0);
  let [count, unit] = [minutes, "minute"];
  if (minutes === 0) unit = "second"; // now
  if (minutes <= -90) [count, unit] = [Math.round(minutes / 60), "hour"];
  return new Intl.RelativeTimeFormat(lang, { numeric: "auto" }).format(count, unit);
}

// copy selects a text, so that it can also be copied by hand, and copies it.
async function copy(button) {
  const text = document.getElementById(button.dataset.copy);
  getSelection().selectAllChildren(text);
  try {
    await navigator.clipboard.writeText(text.innerText);
    button.parentElement.parentElement.querySelector("[role=status]:is(.tools *, .tools + *)").textContent = button.dataset.copied;
  } catch {
    // The browser does not allow it. The text stays selected.
  }
}

// download saves a list as a text file, below what a printed sheet says above it.
function download(button) {
  const { name } = button.dataset;
  const about = Array.from(document.querySelectorAll(".sheet > *"), (line) => line.textContent.trim());
  const text = [...about, "", document.getElementById(button.dataset.download).innerText, ""].join("\n");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  link.download = `${name}.txt`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}
