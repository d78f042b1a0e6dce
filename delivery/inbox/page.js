// Reloads the page when there is a new message, unless the reader has selected text.
const shown = document.body.dataset.count;
setInterval(async () => {
  if (document.hidden || String(getSelection()) !== "") return;
  try {
    const answer = await fetch(location.href, { method: "HEAD", cache: "no-store" });
    if (answer.ok && answer.headers.get("Inbox-Count") !== shown) location.reload();
  } catch {
    // The server may be restarting; the next request shows.
  }
}, 2000);
