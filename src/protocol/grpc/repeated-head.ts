import type { OutgoingField, PreparedHeaders } from "../http2/wire/hpack-encoder.js";

/** Header blocks of one session whose every field came in the one before as well: they are encoded once. */
export class RepeatedHead {
  readonly #prepare: (fields: readonly OutgoingField[]) => PreparedHeaders;
  #head: PreparedHeaders | undefined;
  #extra: readonly OutgoingField[] = [];
  #whole: PreparedHeaders | undefined;

  constructor(prepare: (fields: readonly OutgoingField[]) => PreparedHeaders) {
    this.#prepare = prepare;
  }

  /** All of `head` and `extra` in one; undefined when they are not those of the block before. */
  find(head: PreparedHeaders, extra: readonly OutgoingField[]): PreparedHeaders | undefined {
    if (head === this.#head && areSame(extra, this.#extra)) {
      this.#whole ??= this.#prepare([...head.fields, ...extra]);
      return this.#whole;
    }
    this.#head = head;
    this.#extra = extra;
    this.#whole = undefined;
    return undefined;
  }
}

/** Fields that repeat are the same objects, and in the peer's table. */
function areSame(one: readonly OutgoingField[], other: readonly OutgoingField[]): boolean {
  if (one.length !== other.length) return false;
  for (let i = 0; i < one.length; i++) {
    if (one[i] !== other[i] || one[i]?.indexing !== "table") return false;
  }
  return true;
}
