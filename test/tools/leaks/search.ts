import { runMarker } from "./secrets.js";

/** A secret in one of the ways it may be written. */
interface Form {
  readonly text: string;
  readonly how: string;
}

/** Shorter parts of a secret could be there by chance. */
const leastLength = 16;
/** Of a long secret this much of its end: tokens of one issuer begin alike. */
const mostLength = 64;
/** Everything that forms are made of. */
const word = new RegExp(`[\\w+/=-]{${leastLength},}`, "g");

/** Base64 of a text in the middle of another, by how many bytes of that are before it: what does not depend on its neighbours. */
function base64Of(secret: string): Form[] {
  return [0, 1, 2].flatMap((before) => {
    const bytes = Buffer.concat([Buffer.alloc(before), Buffer.from(secret)]);
    const text = bytes.toString("base64");
    const own = text.slice(before === 0 ? 0 : before + 1, Math.floor((bytes.length * 8) / 6));
    return [own, own.replaceAll("+", "-").replaceAll("/", "_")].map((one) => ({
      text: one,
      how: "in base64",
    }));
  });
}

/** A key is often base64 itself, and may be shown as its bytes. */
function bytesOf(secret: string): Form[] {
  if (!/^[\w+/-]+=*$/.test(secret)) return [];
  const bytes = Buffer.from(secret, "base64");
  const whole = bytes.subarray(0, bytes.length - (bytes.length % 3));
  return [
    { text: bytes.toString("hex"), how: "its bytes in hex" },
    ...[whole.toString("base64"), whole.toString("base64url")].map((text) => ({
      text,
      how: "its bytes in base64",
    })),
  ];
}

function formsOf(secret: string): Form[] {
  const own = secret.length > mostLength ? secret.slice(-mostLength) : secret;
  const hex = Buffer.from(own).toString("hex");
  const forms = [
    { text: own, how: "as it is" },
    ...base64Of(own),
    { text: hex, how: "in hex" },
    ...bytesOf(own),
  ];
  return forms.filter(({ text }) => text.length >= leastLength);
}

/** Finds secrets in what a run writes, whichever way they are written. */
export class LeakSearch {
  readonly #forms = new Map<string, Form[]>();
  readonly #known = new Set<string>();
  /** Characters of the longest form. */
  longest = 0;

  /** Of the marker that the secrets of this run begin with, and of `secrets`. */
  constructor(secrets: Iterable<string> = []) {
    this.add(runMarker());
    for (const one of secrets) this.add(one);
  }

  add(secret: string): void {
    if (this.#known.has(secret)) return;
    this.#known.add(secret);
    for (const form of formsOf(secret)) {
      const start = form.text.slice(0, leastLength);
      const others = this.#forms.get(start) ?? [];
      this.#forms.set(start, [...others, form]);
      this.longest = Math.max(this.longest, form.text.length);
    }
  }

  /** How a secret is written in `text`; undefined if none is there. */
  find(text: string): string | undefined {
    for (const { 0: run } of text.matchAll(word)) {
      for (let at = 0; at <= run.length - leastLength; at++) {
        const forms = this.#forms.get(run.slice(at, at + leastLength));
        const found = forms?.find((form) => run.startsWith(form.text, at));
        if (found !== undefined) return found.how;
      }
    }
    return undefined;
  }
}

/** The same in a stream, in pieces that may end within a secret. */
export class StreamSearch {
  readonly #search: LeakSearch;
  #tail = "";

  constructor(search: LeakSearch) {
    this.#search = search;
  }

  find(piece: string | Uint8Array): string | undefined {
    const text = this.#tail + (typeof piece === "string" ? piece : Buffer.from(piece).toString("latin1"));
    this.#tail = text.slice(-this.#search.longest);
    return this.#search.find(text);
  }
}
