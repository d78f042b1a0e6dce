// Loads the page again when a message has come in. Where the reader has marked something, it waits.
const shown = document.body.dataset.count;
setInterval(async () => {
  if (document.hidden || String(getSelection()) !== "") return;
  try {
    const answer = await fetch(location.href, { method: "HEAD", cache: "no-store" });
    if (answer.ok && answer.headers.get("Inbox-Count") !== shown) location.reload();
  } catch {
    // The server is being restarted; the next look will tell.
  }
}, 2000);
