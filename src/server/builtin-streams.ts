import { type Account, leavesSome } from "../auth/account.js";
import { printable } from "../base/printable.js";
import { messages } from "../error/messages.js";
import { RpcError } from "../error/rpc-error.js";
import { Status } from "../error/status.js";

/** Of the calls that may be in flight; of few, a larger part, since each client behind a gateway may watch. */
const part = 1 / 16;
const partOfFew = 1 / 4;
const fewMax = 256;
const leastMax = 16;

/** The open streams of built-in services. Strangers may watch the health of a provider for as long as they like, so they get few of its places. */
export class BuiltinStreams {
  readonly #max: number;
  #open = 0;

  /** `inFlightMax`: of the provider. */
  constructor(inFlightMax: number) {
    const few = Math.min(fewMax, Math.floor(inFlightMax * partOfFew));
    this.#max = Math.max(leastMax, few, Math.floor(inFlightMax * part));
  }

  /** Why this caller may open no more of them. */
  refusal({ name, builtinStreams }: Account): RpcError | undefined {
    if (leavesSome(builtinStreams, this.#open, this.#max)) return undefined;
    const text = messages.tooManyBuiltinStreams(printable(name), builtinStreams, this.#max);
    return new RpcError(Status.RESOURCE_EXHAUSTED, text);
  }

  count(account: Account, by: 1 | -1): void {
    account.builtinStreams += by;
    this.#open += by;
  }
}
