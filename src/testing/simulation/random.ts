const mask64 = (1n << 64n) - 1n;

/** One step of SplitMix64 (Steele, Lea and Flood 2014), which the authors of xoshiro advise for filling its state. */
function splitMix64(state: bigint): { state: bigint; word: bigint } {
  const next = (state + 0x9e3779b97f4a7c15n) & mask64;
  let mixed = ((next ^ (next >> 30n)) * 0xbf58476d1ce4e5b9n) & mask64;
  mixed = ((mixed ^ (mixed >> 27n)) * 0x94d049bb133111ebn) & mask64;
  return { state: next, word: mixed ^ (mixed >> 31n) };
}

/** FNV-1a of 64 bits, to make a seed of a name. */
function hashName(name: string): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of Buffer.from(name)) hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & mask64;
  return hash;
}

const rotateLeft = (word: number, bits: number): number => (word << bits) | (word >>> (32 - bits));

/**
 * Random numbers that a seed repeats on every machine: xoshiro128** 1.1 (Blackman and Vigna 2018, public domain,
 * prng.di.unimi.it), its state filled by SplitMix64. Not for secrets.
 */
export class SeededRandom {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  private constructor(words: readonly [number, number, number, number]) {
    [this.#a, this.#b, this.#c, this.#d] = words;
  }

  /** `stream`: numbers for another purpose are drawn from another stream, so that one more draw here changes none there. */
  static of(seed: number, stream = ""): SeededRandom {
    const first = splitMix64((BigInt.asUintN(64, BigInt(seed)) ^ hashName(stream)) & mask64);
    const second = splitMix64(first.state);
    const half = (word: bigint, shift: bigint): number => Number((word >> shift) & 0xffff_ffffn) | 0;
    return SeededRandom.fromState([
      half(first.word, 0n),
      half(first.word, 32n),
      half(second.word, 0n),
      half(second.word, 32n),
    ]);
  }

  /** @internal For the vectors of the reference implementation. */
  static fromState(words: readonly [number, number, number, number]): SeededRandom {
    return new SeededRandom(words);
  }

  /** 32 bits, unsigned. */
  word(): number {
    const result = Math.imul(rotateLeft(Math.imul(this.#b, 5), 7), 9);
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = rotateLeft(this.#d, 11);
    return result >>> 0;
  }

  /** 0 <= x < 1, with 53 bits. */
  next(): number {
    return ((this.word() >>> 5) * 2 ** 26 + (this.word() >>> 6)) / 2 ** 53;
  }

  /** from <= x < to. */
  between(from: number, to: number): number {
    return from + (to - from) * this.next();
  }

  /** A whole number, from <= x <= to. */
  integer(from: number, to: number): number {
    return from + Math.floor(this.next() * (to - from + 1));
  }

  /** True with this probability. Draws nothing for 0 and 1, so that a fault that is off changes no other draw. */
  chance(probability: number): boolean {
    if (probability <= 0) return false;
    return probability >= 1 || this.next() < probability;
  }

  /** One of `choices`, which must not be empty. */
  pick<T>(choices: readonly [T, ...T[]] | readonly T[]): T {
    if (choices.length === 0) throw new RangeError("pick: there is nothing to choose from");
    return choices[this.integer(0, choices.length - 1)] as T;
  }
}
