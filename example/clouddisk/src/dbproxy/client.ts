import { type CallOptions, type RpcChannel, RpcError, Status } from "mprpc";
import { Code, Refusal } from "../common/codes.js";
import type { ActionName, ParamsOf, ResultOf } from "./actions.js";
import { DBProxyServiceStub } from "./gen/dbproxy.js";

/** One action of a batch. */
export interface BatchItem<N extends ActionName = ActionName> {
  name: N;
  params: ParamsOf<N>;
}

type BatchResults<Items extends readonly BatchItem[]> = {
  [I in keyof Items]: Items[I] extends BatchItem<infer N> ? ResultOf<N> : never;
};

/** dbproxy's actions, typed. Every action is one transaction. */
export class Database {
  readonly #stub: DBProxyServiceStub;

  constructor(channel: RpcChannel) {
    this.#stub = new DBProxyServiceStub(channel);
  }

  /** Throws RpcError: UNAVAILABLE while the database is away, INVALID_ARGUMENT for parameters an action refuses. */
  async run<N extends ActionName>(
    name: N,
    params: ParamsOf<N>,
    options: CallOptions = {},
  ): Promise<ResultOf<N>> {
    const [result] = await this.#execute([{ name, params }], { sequence: true, transaction: false }, options);
    return result as ResultOf<N>;
  }

  /** All in one transaction, in their order: when one fails, none has happened. */
  async transaction<const Items extends readonly BatchItem[]>(
    items: Items,
    options: CallOptions = {},
  ): Promise<BatchResults<Items>> {
    const results = await this.#execute(items, { sequence: true, transaction: true }, options);
    return results as BatchResults<Items>;
  }

  async #execute(
    items: readonly BatchItem[],
    how: { sequence: boolean; transaction: boolean },
    options: CallOptions,
  ): Promise<unknown[]> {
    const actions = items.map(({ name, params }) => ({ name, params: JSON.stringify(params) }));
    const reply = await this.#stub.executeAction({ ...how, actions }, options);
    if (reply.code === Code.FULL) throw new Refusal(Code.FULL, reply.message);
    if (reply.code !== 0) throw new RpcError(Status.INTERNAL, `dbproxy: ${reply.message}`);
    return reply.results.map(({ data }) => JSON.parse(data));
  }
}
