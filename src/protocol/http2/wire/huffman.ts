/**
 * How many bits each symbol has, RFC 7541 appendix B; the last one is EOS. The code is canonical (in the order of lengths, and
 * of symbols within one), so the lengths are all there is to know.
 */
const bitLengths: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28,
  28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7,
  8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19,
  13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13,
  28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21,
  22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23,
  22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25,
  25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];
const eos = 256;

/** The code of each symbol, in its lowest bits. */
const codes: Uint32Array = canonicalCodes();

function canonicalCodes(): Uint32Array {
  const table = new Uint32Array(bitLengths.length);
  let code = 0;
  for (let bits = 5; bits <= 30; bits++) {
    for (let symbol = 0; symbol <= eos; symbol++) if (bitLengths[symbol] === bits) table[symbol] = code++;
    code *= 2;
  }
  return table;
}

/** How many bytes `text` (latin1) takes, Huffman coded. */
export function huffmanBytes(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i++) bits += bitLengths[text.charCodeAt(i) & 0xff] as number;
  return (bits + 7) >> 3;
}

/** Writes `text` (latin1) to `target`, which has `huffmanBytes(text)` bytes of room at `at`. Returns where it ends. */
export function huffmanEncode(text: string, target: Uint8Array, at: number): number {
  let position = at;
  // At most 7 bits wait for more, so a code of 30 makes 37: too many for the integers of bit operators.
  let rest = 0;
  let restBits = 0;
  for (let i = 0; i < text.length; i++) {
    const symbol = text.charCodeAt(i) & 0xff;
    const bits = bitLengths[symbol] as number;
    rest = rest * 2 ** bits + (codes[symbol] as number);
    restBits += bits;
    while (restBits >= 8) {
      restBits -= 8;
      const unit = 2 ** restBits;
      const byte = Math.floor(rest / unit);
      target[position++] = byte;
      rest -= byte * unit;
    }
  }
  // The rest of the last byte is the beginning of EOS: ones.
  if (restBits > 0) target[position++] = (rest << (8 - restBits)) | (0xff >> restBits);
  return position;
}

/**
 * The decoder's states are the inner nodes of the code's tree. For each and each half byte an entry says what comes next: the
 * state in the lowest bits, then the symbol, then whether there is one. No code is shorter than 5 bits, so a half byte ends
 * one at most.
 */
const symbolShift = 9;
const stateMask = (1 << symbolShift) - 1;
const emits = 1 << 17;
const failed = -1;

interface Tables {
  readonly next: Int32Array;
  /** Whether a text may end in a state: the bits since the last symbol are the beginning of EOS, and fewer than eight. */
  readonly mayEnd: Uint8Array;
}

let tables: Tables | undefined;

function buildTables(): Tables {
  // Two children each: the index of an inner node, or the complement of a symbol.
  const children: number[] = [0, 0];
  for (let symbol = 0; symbol <= eos; symbol++) addToTree(children, symbol);
  const count = children.length / 2;
  const next = new Int32Array(count * 16);
  for (let state = 0; state < count; state++) {
    for (let half = 0; half < 16; half++) next[state * 16 + half] = transition(children, state, half);
  }
  const mayEnd = new Uint8Array(count);
  for (let state = 0, bits = 0; bits < 8; bits++) {
    mayEnd[state] = 1;
    state = children[state * 2 + 1] as number;
  }
  return { next, mayEnd };
}

function addToTree(children: number[], symbol: number): void {
  let state = 0;
  for (let bit = (bitLengths[symbol] as number) - 1; bit >= 0; bit--) {
    const side = state * 2 + (((codes[symbol] as number) >>> bit) & 1);
    if (bit === 0) children[side] = ~symbol;
    else {
      if (children[side] === 0) {
        children[side] = children.length / 2;
        children.push(0, 0);
      }
      state = children[side] as number;
    }
  }
}

function transition(children: readonly number[], from: number, half: number): number {
  let state = from;
  let emitted = 0;
  for (let bit = 3; bit >= 0; bit--) {
    const child = children[state * 2 + ((half >> bit) & 1)] as number;
    if (child === ~eos) return failed;
    if (child < 0) emitted = emits | (~child << symbolShift);
    state = child < 0 ? 0 : child;
  }
  return emitted | state;
}

/** The most bytes that `count` bytes of Huffman code may become. */
export function huffmanDecodedMaxBytes(count: number): number {
  return Math.floor((count * 8) / 5);
}

/**
 * Decodes `source[from..to)` to the beginning of `target`, which has room for `huffmanDecodedMaxBytes`. Returns how many bytes
 * it became, or -1 when it is no Huffman code: EOS is in it, or padding that is too long or not of ones.
 */
export function huffmanDecode(source: Uint8Array, from: number, to: number, target: Uint8Array): number {
  tables ??= buildTables();
  const { next, mayEnd } = tables;
  let state = 0;
  let count = 0;
  for (let at = from; at < to; at++) {
    const byte = source[at] as number;
    let step = next[state * 16 + (byte >> 4)] as number;
    if (step < 0) return -1;
    if ((step & emits) !== 0) target[count++] = (step >> symbolShift) & 0xff;
    step = next[(step & stateMask) * 16 + (byte & 15)] as number;
    if (step < 0) return -1;
    if ((step & emits) !== 0) target[count++] = (step >> symbolShift) & 0xff;
    state = step & stateMask;
  }
  return mayEnd[state] === 1 ? count : -1;
}
