/** HTML whose texts are escaped. */
export class Html {
  constructor(readonly text: string) {}
}

const entities: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** A template of HTML. Texts are escaped, parts that are HTML already are not. */
export function html(parts: TemplateStringsArray, ...values: (string | Html)[]): Html {
  const escaped = values.map((value) => (value instanceof Html ? value.text : value.replace(/[&<>"']/g, (c) => entities[c] ?? c)));
  return new Html(String.raw({ raw: parts }, ...escaped));
}

export const list = <T>(items: T[], item: (item: T) => Html): Html => new Html(items.map((i) => item(i).text).join("\n"));
