import type { ReserveRequest, ReserveResponseInput, StockServiceHandler } from "./gen/shop.js";

/** What the stock keeps on its disk: pieces of each item, and the item that each order has. */
export class Shelf {
  readonly #pieces: Map<string, number>;
  readonly #orders = new Map<string, string>();

  constructor(pieces: Readonly<Record<string, number>>) {
    this.#pieces = new Map(Object.entries(pieces));
  }

  left(item: string): number {
    return this.#pieces.get(item) ?? 0;
  }

  /** Takes a piece, unless the order has one. */
  take(order: string, item: string): void {
    if (this.#orders.has(order)) return;
    this.#orders.set(order, item);
    this.#pieces.set(item, this.left(item) - 1);
  }
}

export class StockService implements StockServiceHandler {
  readonly #shelf: Shelf;

  constructor(shelf: Shelf) {
    this.#shelf = shelf;
  }

  reserve({ order, item }: ReserveRequest): ReserveResponseInput {
    this.#shelf.take(order, item);
    return { left: this.#shelf.left(item) };
  }
}
