import type { Delivery } from "../driver.js";
import { timeOf } from "./entries.js";

/** An entry handed to a group. */
export class RedisDelivery implements Delivery {
  readonly position: string;
  readonly attempt: number;
  readonly payload: Uint8Array;
  readonly headers: readonly string[];

  constructor(position: string, attempt: number, payload: Uint8Array, headers: readonly string[]) {
    this.position = position;
    this.attempt = attempt;
    this.payload = payload;
    this.headers = headers;
  }

  /** Few handlers ask for it. */
  get publishedMs(): number {
    return timeOf(this.position);
  }
}
