/** Something that will happen at a virtual time. */
export interface QueuedEvent {
  readonly atMs: number;
  /** Of two that are due at once the older one comes first. */
  readonly order: number;
  /** Undefined once it was called off. */
  run: (() => void) | undefined;
}

const comesBefore = (a: QueuedEvent, b: QueuedEvent): boolean =>
  a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);

/** A binary heap: what is due first comes out first. */
export class EventQueue {
  readonly #heap: QueuedEvent[] = [];
  #orders = 0;

  /** What is due next; those that were called off are passed over. */
  get first(): QueuedEvent | undefined {
    while (this.#heap[0] !== undefined && this.#heap[0].run === undefined) this.shift();
    return this.#heap[0];
  }

  add(atMs: number, run: () => void): QueuedEvent {
    const event: QueuedEvent = { atMs, order: this.#orders++, run };
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parentAt = (at - 1) >> 1;
      const parent = heap[parentAt] as QueuedEvent;
      if (!comesBefore(event, parent)) break;
      heap[at] = parent;
      at = parentAt;
    }
    heap[at] = event;
    return event;
  }

  shift(): QueuedEvent | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (top === undefined || last === undefined || top === last) return top;
    let at = 0;
    for (;;) {
      let childAt = at * 2 + 1;
      if (childAt >= heap.length) break;
      const right = heap[childAt + 1];
      if (right !== undefined && comesBefore(right, heap[childAt] as QueuedEvent)) childAt++;
      const child = heap[childAt] as QueuedEvent;
      if (!comesBefore(child, last)) break;
      heap[at] = child;
      at = childAt;
    }
    heap[at] = last;
    return top;
  }
}
