import { type RpcChannel, RpcProvider } from "../../src/index.js";
import { Cluster, type ClusterOptions } from "../support/cluster.js";
import { FlowService, type FlowServiceHandler, FlowServiceStub } from "../support/gen/flow.js";

export interface FlowOptions extends ClusterOptions {
  flow?: Partial<FlowServiceHandler>;
}

const echo: FlowServiceHandler = {
  async *watch(request) {
    for (let number = 0; number < request.number; number++) yield { number };
  },
  async put(requests) {
    let number = 0;
    for await (const request of requests) number += request.number;
    return { number };
  },
  async *chat(requests) {
    for await (const request of requests) yield request;
  },
  ask: (request) => request,
};

/** A provider of `FlowService` and a channel to it, in memory. What `flow` leaves out counts, adds up, echoes. */
export async function startFlow(options: FlowOptions = {}) {
  const cluster = new Cluster(options);
  const provider = await flowProvider(cluster, options);
  const runtime = cluster.runtime();
  const channel: RpcChannel = cluster.channel({}, runtime);
  return { cluster, provider, channel, runtime, stub: new FlowServiceStub(channel), clock: cluster.clock };
}

export async function flowProvider(cluster: Cluster, options: FlowOptions = {}): Promise<RpcProvider> {
  const interceptors = options.serverInterceptors ?? [];
  const provider = new RpcProvider(cluster.runtime(), { interceptors });
  provider.notifyService(FlowService, { ...echo, ...options.flow });
  cluster.onClose(() => provider.shutdown());
  await provider.start();
  return provider;
}

export async function* numbers(count: number): AsyncGenerator<{ number: number }, void> {
  for (let number = 0; number < count; number++) yield { number };
}

/** All that comes. */
export async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const one of stream) all.push(one);
  return all;
}

/** Resolves when `count` has not changed for many turns of the event loop. */
export async function settled(count: () => number): Promise<void> {
  for (let last = count(), same = 0; same < 50; ) {
    await new Promise((resolve) => setImmediate(resolve));
    const now = count();
    same = now === last ? same + 1 : 0;
    last = now;
  }
}
