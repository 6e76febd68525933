import type { LogFields, Logger } from "../../src/log/logger.js";

/** How many different texts are told apart. */
const textsMax = 300;

/** Text without what differs from one peer to the next: numbers, hex, what was quoted. */
export function withoutDetails(text: string): string {
  return text
    .replace(/".*"/gs, '"..."')
    .replace(/\bfirst bytes [0-9a-f]+/g, "first bytes N")
    .replace(/127\.0\.0\.1:\d+/g, "PEER")
    .replace(/no method \S*/g, "no method NAME")
    .replace(/\d+/g, "N")
    .slice(0, 140);
}

/** Counts what was said, and keeps nothing else: under attack a log that remembers would be the leak. */
export class CountingLog implements Logger {
  readonly counts = new Map<string, number>();

  trace = (): void => {};
  debug = (): void => {};
  info = (): void => {};
  warn = (text: string): void => this.count(text);
  error = (text: string, fields?: LogFields): void =>
    this.count(`ERROR ${text} ${String(fields?.error ?? "")}`);
  fatal = (text: string): void => this.count(`FATAL ${text}`);

  count(text: string): void {
    const key = withoutDetails(text);
    const known = this.counts.get(key);
    if (known === undefined && this.counts.size >= textsMax) return;
    this.counts.set(key, (known ?? 0) + 1);
  }
}
