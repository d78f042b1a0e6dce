/** The longest body that is read, in bytes: the responses and the events of a server are far below. */
export const longestBody = 1 << 20;

/** Reads a body; undefined if it is longer than `longestBody`. */
export async function readBody(message: Request | Response): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if (message.body && typeof message.body.getReader !== "function") return new Uint8Array(await message.arrayBuffer()); // an implementation of fetch of its own
  const parts: Uint8Array[] = [];
  let length = 0;
  const reader = message.body?.getReader();
  for (;;) {
    const part = await reader?.read();
    if (!part?.value) break;
    parts.push(part.value);
    length += part.value.length;
    if (length > longestBody) {
      await reader?.cancel().catch(() => {});
      return undefined;
    }
  }
  const out = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
