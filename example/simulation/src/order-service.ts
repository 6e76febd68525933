import { RpcError, Status } from "mprpc";
import type {
  OrderServiceHandler,
  PlaceRequest,
  PlaceResponseInput,
  ReserveRequest,
  StockServiceStub,
} from "./gen/shop.js";

/** How often the stock is asked for one order. */
const attemptsMax = 3;

export class OrderService implements OrderServiceHandler {
  readonly #stock: StockServiceStub;

  constructor(stock: StockServiceStub) {
    this.#stock = stock;
  }

  async place({ order, item }: PlaceRequest): Promise<PlaceResponseInput> {
    const { left } = await this.#reserve({ order, item });
    return { left };
  }

  /** Asks again when the connection broke and nobody knows what came of it: the stock takes one piece an order. */
  async #reserve(request: ReserveRequest): Promise<{ left: number }> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#stock.reserve(request, { timeoutMs: 1000, waitForReady: true });
      } catch (error) {
        const broken = error instanceof RpcError && error.code === Status.UNAVAILABLE;
        if (!broken || attempt === attemptsMax) throw error;
      }
    }
  }
}
