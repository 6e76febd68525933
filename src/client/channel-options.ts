import { boolean, bytes, callback, having, listOf, oneOf } from "../base/options.js";
import type { ClientInterceptor } from "../call/interceptor.js";
import type { Resolver } from "../registry/registry.js";
import { type BalancerName, balancerNames, type ClassicChoice } from "../runtime/runtime.js";
import type { TlsOptions } from "../transport/tls/options.js";
import { classicChoice } from "./classic-subchannels.js";
import type { Credentials } from "./credentials.js";

export interface ChannelOptions {
  /** Deadline of a call without its own, ms; `Infinity`: none. Default: `calltimeout` of the conf, 5000. */
  timeoutMs?: number | undefined;
  /** How an endpoint is chosen. Default: `channel.balancer` of the conf, `roundrobin`. */
  balancer?: BalancerName | undefined;
  /** Calls wait for an endpoint instead of failing UNAVAILABLE. Default false. */
  waitForReady?: boolean | undefined;
  /**
   * Whether classic providers may be called while no mprpc provider can be: `false`, or by service, full or short:
   * `{ "fixbug.UserServiceRpc": true, "*": false }`. Default, also for services not named: `channel.classic` of the conf,
   * and without that yes, unless the registry has credentials (`zookeeper.auth`).
   */
  classic?: ClassicChoice | undefined;
  /**
   * Gets the token its calls are sent with, as `authorization: Bearer TOKEN`: asked once for all of them and again before the token
   * expires. Sent only on connections that nobody else can read, unless `auth.allowplain` says otherwise. Default: `auth.token` of
   * the conf, and without that none. Throwing fails the calls that need it, UNAUTHENTICATED.
   */
  credentials?: Credentials | undefined;
  /** How its connections are secured. Fields left out are taken from `[tls]` and `[auth]` of the conf. */
  tls?: TlsOptions | undefined;
  /** The first is the outermost. Default none. */
  interceptors?: readonly ClientInterceptor[] | undefined;
  /** Look services up here instead of in the runtime's registry. The channel does not close it. */
  registry?: Resolver | undefined;
  /**
   * The .proto files, with all they import, for `callJson` to providers without reflection (classic ones): the
   * bytes of a FileDescriptorProto each, as generated definitions carry them (`UserServiceRpc.descriptors`). Default none.
   */
  descriptors?: readonly Uint8Array[] | undefined;
}

/** Those without a default of the channel itself. */
export type Undefaulted = "classic" | "credentials" | "tls";

export const channelOptionRules = {
  timeoutMs: { expected: "milliseconds > 0, or Infinity for no deadline", accepts: isTimeout },
  balancer: oneOf(...balancerNames),
  waitForReady: boolean,
  classic: classicChoice,
  credentials: callback,
  tls: having(),
  interceptors: listOf(callback),
  registry: having("watch", "list"),
  descriptors: listOf(bytes),
};

function isTimeout(value: unknown): boolean {
  return typeof value === "number" && value > 0;
}
