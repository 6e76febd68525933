import { HeaderField, type HeaderList } from "./header-field.js";
import { huffmanDecode, huffmanDecodedMaxBytes } from "./huffman.js";
import { DynamicTable, staticCount, staticFields } from "./tables.js";

export interface HeaderLimits {
  /** Largest header list, with 32 bytes for each field as RFC 9113 counts, bytes. Default 64 KiB. */
  listMaxBytes: number;
  /** Most fields of a list. Default 512. */
  fieldsMax: number;
}

/** A larger index or length is invalid. */
const integerMax = 0x7fff_ffff;

/** What `huffmanDecode` writes to; one for all connections, since it is read out at once. */
let scratch: Buffer = Buffer.allocUnsafeSlow(1024);

/** Reads header blocks of one connection, RFC 7541. Pure: bytes in, fields out. */
export class HpackDecoder {
  readonly #table: DynamicTable<HeaderField>;
  readonly #limits: HeaderLimits;
  /** The largest table size that our SETTINGS allow the peer. */
  readonly #tableMaxBytes: number;
  #buffer: Buffer = scratch;
  #at = 0;
  #end = 0;
  #wrong: string | undefined;

  constructor(limits: HeaderLimits, tableMaxBytes: number) {
    this.#limits = limits;
    this.#tableMaxBytes = tableMaxBytes;
    this.#table = new DynamicTable(tableMaxBytes);
  }

  /**
   * Reads a whole header block, `buffer[start..end)`, into `list`, which is emptied first. A list over the limits is read to
   * its end, so that the table stays in step with the peer's. Returns why the block is malformed, which ends the connection.
   */
  decode(buffer: Buffer, start: number, end: number, list: HeaderList): string | undefined {
    list.clear();
    this.#buffer = buffer;
    this.#at = start;
    this.#end = end;
    this.#wrong = undefined;
    let first = true;
    while (this.#at < this.#end && this.#wrong === undefined) {
      const byte = buffer[this.#at] as number;
      if (byte >= 0x80) this.#take(this.#fieldAt(this.#integer(0x7f)), list);
      else if (byte >= 0x40) this.#literal(0x3f, true, list);
      else if (byte >= 0x20) {
        this.#tableSize(first);
        continue;
      } else this.#literal(0x0f, false, list);
      first = false;
    }
    this.#buffer = scratch;
    return this.#wrong;
  }

  #take(field: HeaderField | undefined, list: HeaderList): void {
    if (field === undefined || this.#wrong !== undefined) return;
    list.sizeBytes += field.sizeBytes;
    const { listMaxBytes, fieldsMax } = this.#limits;
    if (list.sizeBytes > listMaxBytes || list.count >= fieldsMax) list.tooLarge = true;
    else list.add(field);
  }

  #fieldAt(index: number): HeaderField | undefined {
    const field = index <= staticCount ? staticFields[index] : this.#table.at(index - staticCount - 1);
    if (field === undefined) this.#wrong ??= `no table entry has the index ${index}`;
    return field;
  }

  /** RFC 7541 section 6.2. */
  #literal(mask: number, indexed: boolean, list: HeaderList): void {
    const index = this.#integer(mask);
    const named = index === 0 ? undefined : this.#fieldAt(index);
    const name = named?.name ?? this.#string();
    const value = this.#string();
    if (this.#wrong !== undefined) return;
    const field = new HeaderField(name, value, named?.kind);
    if (indexed) this.#table.insert(field);
    this.#take(field, list);
  }

  /** RFC 7541 section 6.3: only at the beginning of a block. */
  #tableSize(first: boolean): void {
    const bytes = this.#integer(0x1f);
    if (!first) this.#wrong ??= "a table size update behind a field";
    else if (bytes > this.#tableMaxBytes) {
      this.#wrong ??= `a table size of ${bytes}, over the limit of ${this.#tableMaxBytes}`;
    } else if (this.#wrong === undefined) this.#table.resize(bytes);
  }

  /** RFC 7541 section 5.1. */
  #integer(mask: number): number {
    if (this.#at >= this.#end) return this.#cut();
    const low = (this.#buffer[this.#at++] as number) & mask;
    if (low < mask) return low;
    let value = low;
    for (let unit = 1; this.#at < this.#end; unit *= 128) {
      const byte = this.#buffer[this.#at++] as number;
      value += (byte & 0x7f) * unit;
      if (value > integerMax || unit > integerMax) {
        this.#wrong ??= "an integer that is too large";
        return 0;
      }
      if (byte < 0x80) return value;
    }
    return this.#cut();
  }

  #cut(): number {
    this.#wrong ??= "the header block is cut short";
    this.#at = this.#end;
    return 0;
  }

  /** RFC 7541 section 5.2. */
  #string(): string {
    if (this.#at >= this.#end) {
      this.#cut();
      return "";
    }
    const huffman = (this.#buffer[this.#at] as number) >= 0x80;
    const length = this.#integer(0x7f);
    const from = this.#at;
    if (length > this.#end - from) {
      this.#cut();
      return "";
    }
    this.#at = from + length;
    if (!huffman) return this.#buffer.toString("latin1", from, from + length);
    const most = huffmanDecodedMaxBytes(length);
    if (most > scratch.length) scratch = Buffer.allocUnsafeSlow(most * 2);
    const count = huffmanDecode(this.#buffer, from, from + length, scratch);
    if (count < 0) {
      this.#wrong ??= "a text that is no Huffman code";
      return "";
    }
    return scratch.toString("latin1", 0, count);
  }
}
