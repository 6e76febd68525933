/** The URL with everything between `//` and `@`, and a password or token among its options, hidden: fit for messages and logs. */
export function redactUrl(url: string): string {
  return url
    .replace(/^([a-z]+:\/\/)[^/?]*@/i, "$1***@")
    .replace(/([?&](?:password|token)=)[^&\s]+/gi, "$1***");
}

/** `text` without its `%` escapes. `undefined`: a `%` in it is none. */
export function decodePart(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
