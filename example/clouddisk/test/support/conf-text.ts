/** `{ "store.url": "x" }` as the text of a conf; keys without a section come first. */
export function confText(keys: Readonly<Record<string, string>>): string {
  const lines: string[] = [];
  let section = "";
  for (const [name, value] of Object.entries(keys)) {
    const [first = "", key = first] = name.split(".");
    if (name.includes(".") && first !== section) {
      section = first;
      lines.push("", `[${section}]`);
    }
    lines.push(`${key}=${value}`);
  }
  return `${lines.join("\n")}\n`;
}
