/**
 * What a `Map` from numbers does, for entries that come and go with each call: a `Map` copies itself again and again then, and V8
 * keeps what lies in the old copies until its next full collection. Here they hold numbers alone.
 */
export class NumberMap<V> {
  /** Where the value of a key lies. */
  readonly #places = new Map<number, number>();
  readonly #values: Array<V | undefined> = [];
  readonly #free: number[] = [];

  get size(): number {
    return this.#places.size;
  }

  get(key: number): V | undefined {
    const place = this.#places.get(key);
    return place === undefined ? undefined : this.#values[place];
  }

  set(key: number, value: V): void {
    let place = this.#places.get(key);
    if (place === undefined) {
      place = this.#free.pop() ?? this.#values.length;
      this.#places.set(key, place);
    }
    this.#values[place] = value;
  }

  delete(key: number): boolean {
    const place = this.#places.get(key);
    if (place === undefined) return false;
    this.#places.delete(key);
    this.#values[place] = undefined;
    this.#free.push(place);
    return true;
  }

  /** In the order in which they came, in a list that does not change. */
  keys(): number[] {
    return [...this.#places.keys()];
  }

  /** The same of the values. */
  values(): V[] {
    return [...this.#places.values()].map((place) => this.#values[place] as V);
  }
}
