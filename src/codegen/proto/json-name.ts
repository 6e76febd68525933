/** The name in JSON of a field that sets none: `foo_bar` gives `fooBar`. */
export function jsonNameOf(name: string): string {
  if (!name.includes("_")) return name;
  let text = "";
  let upper = false;
  for (const one of name) {
    if (one === "_") {
      upper = true;
      continue;
    }
    text += upper ? one.toUpperCase() : one;
    upper = false;
  }
  return text;
}
