import { Metadata } from "../base/metadata.js";

/** Headers of the library itself. Metadata keys that begin like them are refused. */
export const header = {
  /** What the publisher calls the message, when it is not called by its position. */
  id: "mprpc-id",
  key: "mprpc-key",
  /** When it is of no use any more, ms since the Unix epoch. */
  expires: "mprpc-expires",
  /** Only this group is to handle it: a dead letter that was sent once more. */
  group: "mprpc-group",
  /** When it was published first, ms since the Unix epoch, where the broker's own time is that of a copy. */
  publishedAt: "mprpc-published",
  /** Of dead letters: the position in the topic, the last error, and how often it was tried. */
  origin: "mprpc-origin",
  error: "mprpc-error",
  attempts: "mprpc-attempts",
} as const;

const reserved = "mprpc-";
/** Metadata that is bytes, and text that is more than printable ASCII, are sent in base64 with these in front of their keys. */
const bytesPrefix = "mprpc-bin-";
const textPrefix = "mprpc-text-";

const ownHeaders: ReadonlySet<string> = new Set(Object.values(header));

export function isReservedKey(key: string): boolean {
  return key.startsWith(reserved);
}

/** Printable ASCII with no blank at its ends: what any broker carries as it is. */
const plain = /^(?:[!-~](?:[ -~]*[!-~])?)?$/;

/** Appends a value that may be any text, in base64 when it must be. */
export function pushText(headers: string[], key: string, value: string): void {
  if (plain.test(value)) headers.push(key, value);
  else headers.push(`${textPrefix}${key}`, Buffer.from(value).toString("base64"));
}

export function pushMetadata(headers: string[], metadata: Metadata): void {
  for (const [key, value] of metadata) {
    if (typeof value === "string") pushText(headers, key, value);
    else headers.push(`${bytesPrefix}${key}`, value.toString("base64"));
  }
}

/** The value of one of the library's headers. */
export function headerOf(headers: readonly string[], name: string): string | undefined {
  for (let at = 0; at < headers.length; at += 2) {
    if (headers[at] === name) return headers[at + 1];
    if (headers[at] === textPrefix + name) return Buffer.from(headers[at + 1] ?? "", "base64").toString();
  }
  return undefined;
}

/** What the publisher gave as metadata. A header of others that cannot be a key of metadata is left out. */
export function metadataOf(headers: readonly string[]): Metadata {
  const metadata = new Metadata();
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] as string;
    const value = headers[at + 1] as string;
    const isText = name.startsWith(textPrefix);
    const key = isText
      ? name.slice(textPrefix.length)
      : name.startsWith(bytesPrefix)
        ? name.slice(bytesPrefix.length)
        : name;
    if (ownHeaders.has(key) || !/^[\w.-]{1,256}$/.test(key)) continue;
    if (key === name) metadata.append(key, value);
    else {
      const bytes = Buffer.from(value, "base64");
      metadata.append(key, isText ? bytes.toString() : bytes);
    }
  }
  return metadata;
}

/** Headers without those of `names`. */
export function withoutHeaders(headers: readonly string[], names: readonly string[]): string[] {
  const kept: string[] = [];
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] as string;
    if (!names.includes(name) && !names.includes(name.replace(textPrefix, ""))) {
      kept.push(name, headers[at + 1] as string);
    }
  }
  return kept;
}
