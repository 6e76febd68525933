import type { Authenticate, TokenIdentity } from "../../src/auth/authenticator.js";
import { type CallContext, type Metadata, type ProviderOptions, RpcProvider } from "../../src/index.js";
import { deferred } from "../support/async.js";
import { Cluster, type ClusterOptions } from "../support/cluster.js";
import { FlowService, FlowServiceStub } from "../support/gen/flow.js";
import { type Blob, ProbeService, ProbeServiceStub } from "../support/gen/probe.js";
import { canary } from "../tools/leaks/secrets.js";

const mark = `~${canary()}`;

/** The token of that name: whoever has it is `name`, and nobody else may see it. */
export const tokenOf = (name: string): string => name + mark;

/** Options of a call that brings this token. */
export const token = (name: string) => ({ metadata: { authorization: `Bearer ${tokenOf(name)}` } });

/** The name of the token of a call. */
export function nameIn(metadata: Metadata): string {
  return metadata.getText("authorization")?.slice("Bearer ".length).split("~")[0] ?? "";
}

/** Tokens are names: `alice`, or `alice@5000`, which expires at that time of the test's clock. */
export function byName(cluster: () => Cluster, asked: string[] = []): Authenticate {
  return async (metadata) => {
    const text = nameIn(metadata);
    asked.push(text);
    const [name, expires] = text.split("@");
    if (name === "stranger") return undefined;
    if (name === "broken") throw new Error(`cannot look up ${tokenOf(text)}-with-the-whole-token`);
    const identity: TokenIdentity = { name: `token:${name}` };
    if (expires === undefined) return identity;
    const { clock } = cluster();
    return { ...identity, expiresAtMs: clock.wallNow() - clock.now() + Number(expires) };
  };
}

/** A provider that judges its callers and a channel to it. `as`: the identity its network gives the caller. */
export async function startGuarded(options: ProviderOptions, as?: string, more: ClusterOptions = {}) {
  const cluster = new Cluster(more);
  const served: string[] = [];
  const waiting: Array<() => void> = [];
  const note = (call: CallContext): void =>
    void served.push(`${call.method.name} ${call.peer.identities.transport} ${call.peer.identities.token}`);
  const providerApp = cluster.runtime();
  const provider = new RpcProvider(providerApp, options);
  provider.notifyService(ProbeService, {
    echo: (request: Blob, context: CallContext) => {
      note(context);
      return request;
    },
    relay: (request: Blob) => new Promise<Blob>((resolve) => waiting.push(() => resolve(request))),
    note: (request: Blob) => request,
  });
  const ended = deferred<unknown>();
  provider.notifyService(FlowService, {
    async *watch(_request, context: CallContext) {
      note(context);
      yield { number: 1 };
      await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
      ended.resolve(context.signal.reason);
    },
    async put(requests, context: CallContext) {
      note(context);
      let number = 0;
      for await (const one of requests) number += one.number;
      return { number };
    },
    async *chat(requests) {
      yield* requests;
    },
    ask: (request) => request,
  });
  cluster.onClose(() => provider.shutdown());
  await provider.start();
  const runtime = cluster.runtime(as === undefined ? {} : { transport: cluster.network.as(as) });
  const channel = cluster.channel({}, runtime);
  const denied: string[] = [];
  providerApp.events.on("callDenied", ({ method, code }) => denied.push(`${method} ${code}`));
  return {
    ...{ cluster, app: providerApp, provider, channel, served, denied, waiting, clock: cluster.clock },
    // Its guard against hanging begins when a test waits for it.
    get ended() {
      return ended.promise;
    },
    log: cluster.log,
    stub: new ProbeServiceStub(channel),
    flow: new FlowServiceStub(channel),
  };
}
