/** What is kept by its number. */
interface Numbered {
  readonly id: number;
}

const placesMin = 16;
/** There are so many places for each stream, so that few come to one that is taken. */
const placesPerStream = 4;

/**
 * The open streams of a connection by their numbers, which only grow and are all odd or all even. A `Map` would do, but one that
 * gets and loses an entry with each call copies itself again and again, and V8 keeps what lies in the old copies until its next
 * full collection: it doubled the CPU of a call.
 */
export class StreamTable<S extends Numbered> {
  #places: Array<S | undefined> = new Array(placesMin).fill(undefined);
  #mask = placesMin - 1;
  /** Those whose place a later one has: they live long, so that few come here. */
  #old: Map<number, S> | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: number): S | undefined {
    const stream = this.#places[(id >>> 1) & this.#mask];
    if (stream !== undefined && stream.id === id) return stream;
    return this.#old?.get(id);
  }

  /** Its number is new. */
  add(stream: S): void {
    this.#size++;
    if (this.#size * placesPerStream > this.#places.length) this.#grow();
    this.#place(stream);
  }

  #place(stream: S): void {
    const at = (stream.id >>> 1) & this.#mask;
    const earlier = this.#places[at];
    if (earlier !== undefined) {
      this.#old ??= new Map();
      this.#old.set(earlier.id, earlier);
    }
    this.#places[at] = stream;
  }

  #grow(): void {
    const before = this.#places;
    this.#mask = before.length * 2 - 1;
    this.#places = new Array(before.length * 2).fill(undefined);
    for (let at = 0; at < before.length; at++) {
      const stream = before[at];
      before[at] = undefined;
      if (stream !== undefined) this.#place(stream);
    }
  }

  delete(stream: S): void {
    const at = (stream.id >>> 1) & this.#mask;
    if (this.#places[at] === stream) this.#places[at] = undefined;
    else if (this.#old?.delete(stream.id) !== true) return;
    this.#size--;
  }

  /** All of them, in a list that does not change. */
  all(): S[] {
    const found = this.#old === undefined ? [] : [...this.#old.values()];
    for (const stream of this.#places) if (stream !== undefined) found.push(stream);
    return found.sort((a, b) => a.id - b.id);
  }
}
