// The script of the inbox. The server renders rows and messages; this script searches while one types, inserts new rows, and opens
// messages without a reload. What was typed, focused or scrolled stays when a message arrives.

const rows = document.getElementById("rows");
const reader = document.getElementById("reader");
const form = document.querySelector("[role=search]");
const wide = matchMedia("(min-width: 56rem)");
const look = { tab: "html", width: "600", scheme: matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light" };
let newest = Number(rows.querySelector("[data-number]")?.dataset.number ?? 0);
let search = 0; // counts searches, so that an earlier response does not replace a later one

const filters = () => new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
const address = (message, wanted = filters()) => "/inbox?" + new URLSearchParams([...(message ? [["m", message]] : []), ...wanted]);
const shown = () => reader.querySelector("article")?.dataset.number;

async function load(path) {
  const response = await fetch(path, { cache: "no-store" });
  if (!response.ok) throw new Error(response.statusText);
  const header = (name) => Number(response.headers.get(name));
  return { html: await response.text(), newest: header("Inbox-Newest"), oldest: header("Inbox-Oldest") };
}

// Times are relative, and say when a code expires.
function updateTimes() {
  const text = (seconds) => (seconds < 60 ? `${Math.floor(seconds)} s` : seconds < 3600 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 3600)} h`);
  for (const time of document.querySelectorAll("time")) {
    const seconds = (new Date(time.dateTime) - Date.now()) / 1000;
    const words = "ago" in time.dataset ? (seconds > -5 ? "now" : text(-seconds) + " ago") : seconds > 0 ? "expires in " + text(seconds) : "expired";
    if (time.textContent !== words) time.textContent = words;
  }
}

function updateTitle() {
  const unread = rows.querySelectorAll(".unread").length;
  document.title = (unread ? `(${unread}) ` : "") + "Inbox · watchword";
}

function markCurrent() {
  for (const link of rows.querySelectorAll(".row > a")) {
    const current = link.parentElement.dataset.number === shown();
    link.ariaCurrent = current ? "true" : null;
    if (current) link.parentElement.classList.remove("unread");
  }
  updateTitle();
}

async function searchMessages() {
  const mine = ++search;
  const wanted = filters();
  const found = await load("/inbox/rows?" + wanted);
  if (mine !== search) return;
  const unread = new Set([...rows.querySelectorAll(".unread")].map((row) => row.dataset.number));
  rows.innerHTML = found.html;
  for (const row of rows.querySelectorAll(".row")) row.classList.toggle("unread", unread.has(row.dataset.number));
  newest = found.newest;
  markSeen();
  history.replaceState(null, "", address(new URLSearchParams(location.search).get("m"), wanted));
  markCurrent();
  updateTimes();
}

// insertNewRows adds rows above the others. The list stays where it was scrolled to, unless its beginning is in view.
async function insertNewRows() {
  const mine = search;
  const found = await load(`/inbox/rows?${filters()}&after=${newest}`);
  if (mine !== search) return;
  if (found.newest < newest) return searchMessages(); // the server has started again
  for (const row of rows.querySelectorAll(".row")) if (Number(row.dataset.number) < found.oldest) row.remove();
  newest = found.newest;
  if (found.html.trim()) {
    rows.querySelector(".empty")?.remove();
    const scroller = wide.matches ? rows.parentElement : document.scrollingElement;
    const before = scroller.scrollHeight;
    const top = scroller.scrollTop;
    rows.insertAdjacentHTML("afterbegin", found.html);
    for (const row of rows.querySelectorAll(".row")) {
      if (row.dataset.seen === undefined) row.classList.add("unread");
    }
    if (top > 0) scroller.scrollTop = top + scroller.scrollHeight - before;
    if (!shown() && wide.matches) await openMessage(rows.querySelector(".row").dataset.number);
  } else if (!rows.querySelector(".row, .empty")) {
    await searchMessages(); // it was cleared
  }
  markSeen();
  markCurrent();
}

const markSeen = () => rows.querySelectorAll(".row").forEach((row) => { row.dataset.seen = ""; });

async function poll() {
  try {
    await insertNewRows();
  } catch {
    // The server may be restarting; the next request shows.
  }
  updateTimes();
  setTimeout(poll, 1000);
}

async function openMessage(number) {
  reader.innerHTML = (await load(`/inbox/read/${number}`)).html;
  reader.scrollTop = 0;
  showLook();
  markCurrent();
  updateTimes();
}

// showLook applies the chosen tab, width and color scheme to the message.
function showLook() {
  const tabs = [...reader.querySelectorAll("[role=tab]")];
  const chosen = tabs.find((tab) => tab.id === "tab-" + look.tab) ?? tabs[0];
  for (const tab of tabs) {
    tab.ariaSelected = String(tab === chosen);
    tab.tabIndex = tab === chosen ? 0 : -1;
    document.getElementById(tab.getAttribute("aria-controls")).hidden = tab !== chosen;
  }
  for (const b of reader.querySelectorAll("[data-width], [data-scheme]")) {
    b.ariaPressed = String((b.dataset.width ?? look.width) === look.width && (b.dataset.scheme ?? look.scheme) === look.scheme);
  }
  const frame = reader.querySelector(".frame");
  if (frame) frame.className = `frame w${look.width} ${look.scheme}`;
}

function showList() {
  document.body.classList.remove("reading");
  (rows.querySelector("[aria-current]") ?? form.q).focus();
}

let toastEnds;

async function copy(text) {
  const toast = document.getElementById("toast");
  try {
    await navigator.clipboard.writeText(text);
    toast.textContent = "Copied " + (text.length > 20 ? "the link" : text);
  } catch {
    toast.textContent = "The browser did not copy it.";
  }
  clearTimeout(toastEnds); // of the text before
  toastEnds = setTimeout(() => { toast.textContent = ""; }, 2000);
}

document.addEventListener("click", async (e) => {
  if (e.ctrlKey || e.metaKey || e.shiftKey || e.altKey) return;
  const target = e.target.closest("[data-copy], [data-back], [role=tab], [data-width], [data-scheme], .row > a");
  if (!target) return;
  const { copy: text, back, width, scheme } = target.dataset;
  if (text) copy(text);
  if (target.role === "tab") look.tab = target.id.slice(4);
  if (width) look.width = width;
  if (scheme) look.scheme = scheme;
  if (target.role === "tab" || width || scheme) showLook();
  if (back !== undefined) {
    e.preventDefault();
    history.pushState(null, "", address());
    showList();
  }
  if (target.matches(".row > a")) {
    e.preventDefault();
    const number = target.parentElement.dataset.number;
    history.pushState(null, "", address(number));
    await openMessage(number);
    document.body.classList.add("reading");
    if (!wide.matches) {
      scrollTo(0, 0);
      document.getElementById("heading")?.focus();
    }
  }
});

addEventListener("popstate", async () => {
  const number = new URLSearchParams(location.search).get("m");
  if (!number) return showList();
  await openMessage(number);
  document.body.classList.add("reading");
});

// Arrow keys move between the rows, and between the tabs; a slash goes to the search.
addEventListener("keydown", (e) => {
  const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[e.key];
  const typing = e.target.matches("input, select, textarea");
  if (e.key === "/" && !typing) {
    e.preventDefault();
    form.q.select();
  }
  const vertical = e.key === "ArrowDown" || e.key === "ArrowUp";
  let all = [];
  if (e.target.role === "tab" && !vertical) all = [...reader.querySelectorAll("[role=tab]")];
  if (vertical && (e.target.matches(".row *") || e.target === form.q)) all = [...rows.querySelectorAll(".row > a")];
  if (!step || all.length === 0) return;
  e.preventDefault();
  const from = all.findIndex((one) => one === e.target || one.parentElement === e.target.closest(".row"));
  const next = all[Math.min(Math.max(from + step, 0), all.length - 1)];
  next.focus();
  if (next.role === "tab") next.click();
});

let typed = 0;
form.addEventListener("input", () => {
  clearTimeout(typed);
  typed = setTimeout(() => searchMessages().catch(() => {}), 80);
});
form.addEventListener("submit", (e) => e.preventDefault());

markSeen();
showLook();
updateTimes();
poll();
