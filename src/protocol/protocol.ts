import type { ProtocolName } from "../call/peer.js";
import type { Connection } from "../transport/transport.js";
import type { Dispatcher, ServerSession } from "./dispatcher.js";

/** What the first bytes of a connection say to one protocol. */
export type Detection =
  /** It is this protocol. `variant`: which of its forms, when it has several; `serve` is given it. */
  | { readonly kind: "match"; readonly variant?: string }
  /**
   * Fewer bytes than `bytes` in all cannot tell more, unless what has come turns out to be something else. `recognised`: it
   * is no other protocol, and lacks what this text says.
   */
  | { readonly kind: "need-more"; readonly bytes: number; readonly recognised?: string }
  | { readonly kind: "no" };

/** A protocol as a provider serves it. */
export interface ServerProtocol {
  readonly name: ProtocolName;
  /** Why its callers are not served: they are recognised, and their connections reset. Undefined: they are. */
  readonly refusal: string | undefined;
  /**
   * `drain` tells a caller, without a doubt which of its calls ran. Where a protocol cannot, callers that come over the limit
   * of connections, or while the provider drains, are reset before their first call is read.
   */
  readonly tellsToLeave: boolean;
  /** Looks at all bytes that have come so far. Pure, and cheap: it is asked again as more come. */
  detect(received: Buffer): Detection;
  /** Takes the connection over; the bytes that `detect` saw come through `onData` right after. */
  serve(connection: Connection, dispatcher: Dispatcher, variant: string | undefined): ServerSession;
}
