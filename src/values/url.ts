/** `500`, `500ms`, `10s`, `2m` as milliseconds; `undefined` when it is none of them. */
export function parseDurationMs(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m)?$/.exec(text.trim());
  if (match === null) return undefined;
  const unitMs = { ms: 1, s: 1000, m: 60_000 }[match[2] ?? "ms"] ?? 1;
  return Number(match[1]) * unitMs;
}

/** The URL with everything between `//` and `@` hidden: fit for messages and logs. */
export function redactUrl(url: string): string {
  return url.replace(/^([a-z]+:\/\/)[^/?]*@/i, "$1***@");
}
