// What parts do in a browser, on the hosted pages and in the element. The server renders the parts, with all texts. Attributes
// select what a part needs (data-do, data-load, data-wait, data-length, data-auto, data-sms, data-key; those of tools.js), so a new ask
// needs a new part and, for another browser function, a line in `activate` or in a listener. What few parts need is in files of their
// own, which a page loads with the first of them: keys.js and tools.js.

// makeParts lets the parts inside an element work. The host has these functions:
//   send(action, fields)  sends a form
//   load(query)           loads the current part
//   post(action, fields)  resolves to the response to a request that shows no part
//   show(part)            shows a part that nobody asked for
//   fail()                shows that something could not be loaded
//   keys(), tools()       resolve to the modules keys.js and tools.js
export function makeParts(main, host) {
  let lang = ""; // of the part
  let smsRequest = null; // aborts the request for a text message
  let key = null; // resolves to the control of the part's key
  let keyLoads = false; // it has neither resolved nor failed
  let askedAtOnce = null; // aborts what the browser was asked in the meantime
  let tools = null; // resolves to what tools.js makes
  let timer = 0;
  let waitEnd = 0; // when the message can be sent again
  let sent = ""; // the last code that was sent: a complete code is sent by itself once
  let busy = false; // a request is on its way

  // A busy part ignores its buttons but does not disable them: a disabled button loses the focus.
  function setBusy(on) {
    busy = on;
    main.ariaBusy = String(on);
    for (const b of main.querySelectorAll("button:not([data-wait])")) {
      b.ariaDisabled = on ? "true" : null;
      if (!on) b.disabled = false;
    }
  }

  // removeError removes the message about the last attempt, and the mark of its field.
  function removeError() {
    for (const e of main.querySelectorAll("[role=alert]")) e.remove();
    main.querySelector("[aria-invalid]")?.removeAttribute("aria-invalid");
  }

  // showError shows a message where the part shows its errors.
  function showError(message) {
    setBusy(false);
    removeError();
    const next = main.querySelector("[data-do=answer] button:not(.plain)") ?? main.querySelector(".below, footer");
    if (next) next.before(message);
    else main.append(message);
  }

  // readField returns the field of the code with its method, to compare it with the field of the next part.
  function readField() {
    const input = main.querySelector("#answer");
    return { input, value: input?.value ?? "", method: input?.form.elements.method?.value };
  }

  // keepValue keeps what was typed if the next part asks for the same code. A wrong code is selected.
  function keepValue(before) {
    const { input, method } = readField();
    if (!input || !before.value || before.method !== method) return;
    input.value = before.value;
    if (input.ariaInvalid === "true") input.select();
  }

  // replace shows a part, which gets the focus unless that stays elsewhere on the page.
  function replace(part, takesFocus = true) {
    stop();
    lang = part.lang;
    const before = readField();
    main.innerHTML = part.html;
    setBusy(false);
    activate();
    const first = main.querySelector("[autofocus]") ?? main.querySelector("h1");
    if (first?.tagName === "H1") first.tabIndex = -1;
    if (takesFocus) first?.focus();
    keepValue(before);
  }

  // activate starts what the attributes of a new part need.
  function activate() {
    main.querySelectorAll("time").forEach(showTime);
    const form = main.querySelector("[data-key]");
    if (form) loadKey(form).catch(() => {}); // the click says what failed
    const button = main.querySelector("[data-wait]");
    if (button) countDown(button.dataset.wait);
    const needsTools = main.querySelector("[data-ago], [data-save], .tools");
    const input = "OTPCredential" in window && main.querySelector("[data-sms]");
    if (needsTools || input) useTools(needsTools, main.querySelectorAll("time"), input);
  }

  function loadKey(form) {
    keyLoads = true;
    key = host.keys().then((module) => module.controlKey(form, { ...host, removeError })).finally(() => { keyLoads = false; });
    return key;
  }

  // useKey asks for the part's key. While keys.js is on its way, a browser that reads the options itself is asked at once; keys.js reads the
  // result. It is loaded again if that has failed.
  async function useKey(form) {
    setBusy(true);
    const asked = keyLoads ? askAtOnce(form.dataset) : null;
    const control = await key.catch(() => loadKey(form)).catch(() => null);
    setBusy(false);
    if (control) return control.use(asked);
    askedAtOnce?.abort();
    host.fail();
  }

  // askAtOnce returns a promise of the key, or null if the browser needs the help of keys.js.
  function askAtOnce({ key: what, options }) {
    const read = window.PublicKeyCredential?.[what === "create" ? "parseCreationOptionsFromJSON" : "parseRequestOptionsFromJSON"];
    if (!read) return null;
    askedAtOnce = new AbortController();
    const { signal } = askedAtOnce;
    const asked = (async () => navigator.credentials[what]({ publicKey: read(JSON.parse(options)), signal }))();
    asked.catch(() => {}); // keys.js says what failed
    return asked;
  }

  // stop ends what the part has started: timers, and requests for text messages and keys.
  function stop() {
    clearInterval(timer);
    smsRequest?.abort();
    askedAtOnce?.abort();
    key?.then((control) => control.stop(), () => {});
    key = null;
  }

  // showTime writes a time in the language of the part and the time zone of the browser.
  function showTime(element) {
    element.textContent = new Date(element.dateTime).toLocaleTimeString(lang, { timeStyle: "short" });
  }

  async function useTools(needed, times, input) {
    const language = lang;
    const { signal } = (smsRequest = new AbortController());
    tools ??= host.tools().then((module) => module.makeTools(main, host));
    try {
      const { completeTimes, readSMS } = await tools;
      completeTimes(times, language);
      if (input) readSMS(input, signal);
    } catch {
      tools = null;
      if (needed) host.fail();
    }
  }

  // countDown enables the buttons that send again after so many seconds. Those with data-waiting show the time that is left.
  function countDown(seconds) {
    waitEnd = Date.now() + seconds * 1000;
    timer = setInterval(showWait, 1000);
    showWait();
  }

  function showWait() {
    const left = Math.ceil((waitEnd - Date.now()) / 1000);
    for (const button of main.querySelectorAll("[data-wait]")) {
      const { text = button.textContent, waiting = text } = button.dataset;
      button.dataset.text = text;
      button.disabled = left > 0;
      button.textContent = left > 0 ? waiting.replace("{time}", `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`) : text;
    }
    if (left <= 0) clearInterval(timer);
  }

  // showNote says what became of the message. One that failed can be sent again at once.
  function showNote({ text, late }) {
    const note = main.querySelector("#note");
    if (!note || note.textContent === text) return;
    note.className = late ? "notice" : "error";
    note.textContent = text;
    if (!text || late) return;
    waitEnd = 0;
    showWait();
  }

  // cleanCode returns a typed or pasted code without what the server ignores anyway and, if it is of digits, without everything else.
  function cleanCode(text, alphabet) {
    text = text.normalize("NFKC").replace(/[\s\p{Pd}\p{Cf}]/gu, "");
    return alphabet === "0123456789" ? text.replace(/\P{Nd}/gu, "") : text.toUpperCase();
  }

  main.addEventListener("input", (e) => {
    const { length, alphabet } = e.target.dataset;
    if (!length || e.isComposing) return;
    const code = cleanCode(e.target.value, alphabet);
    const value = code.slice(0, length);
    if (value !== e.target.value) e.target.value = value;
    if (code.length === Number(length) && code !== sent && "auto" in e.target.dataset) e.target.form.requestSubmit();
  });

  // The second click of a double click may hit the next part.
  main.addEventListener("click", (e) => {
    if (e.detail > 1 && e.target.closest("button")) e.preventDefault();
  });

  main.addEventListener("submit", (e) => {
    e.preventDefault();
    if (busy) return;
    const form = e.target;
    if (form.dataset.key) return useKey(form);
    if ("load" in form.dataset) return host.load(form.dataset.load);
    const rejected = form.querySelector("[data-rejected]");
    if (rejected && rejected.value === sent) return rejected.select(); // a wrong code stays wrong, and would cost another try
    const fields = Object.fromEntries(new FormData(form));
    sent = fields.answer ?? "";
    host.send(form.dataset.do, fields, form);
  });

  return { replace, setBusy, showError, showNote, stop };
}
