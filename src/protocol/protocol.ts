import type { Address } from "../base/address.js";
import type { Attempt } from "../call/attempt.js";
import type { ProtocolName } from "../call/peer.js";
import type { Connection, ConnectOptions } from "../transport/transport.js";
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
  /** Why such a caller is turned away with an answer, where a reset would make it come again. Undefined: it is not. */
  turnsAway?(variant: string | undefined): string | undefined;
  /** Its names where TLS agrees on one (ALPN). None: nothing was agreed on by who speaks it. */
  readonly alpn: readonly string[];
  /** Looks at all bytes that have come so far. Pure, and cheap: it is asked again as more come. */
  detect(received: Buffer): Detection;
  /** Takes the connection over; the bytes that `detect` saw come through `onData` right after. */
  serve(connection: Connection, dispatcher: Dispatcher, variant: string | undefined): ServerSession;
  /** The provider stops. */
  close?(): void;
}

/** A connection to a provider that carries many calls. */
export interface ClientSession {
  readonly local: string;
  /** `host:port` of the provider. */
  readonly endpoint: string;
  /** Calls that an answer is awaited of. */
  readonly inFlight: number;
  /** More calls may go out now. */
  readonly hasRoom: boolean;
  /** Nobody between the two ends can read what is sent: tokens may be. */
  readonly confidential: boolean;
  /** The provider has been heard to speak the protocol: whatever closes the connection later, connecting worked. */
  readonly welcomed: boolean;
  /** A reply has come: the provider is one that works. */
  readonly answered: boolean;
  /** It was closed because nothing came any more, not even an answer to a ping. */
  readonly silent: boolean;
  /** It was closed because what came was malformed. */
  readonly malformed: boolean;
  /** Calls that were in flight when it closed. */
  readonly lostCalls: number;
  /** Sends an attempt. One that cannot be sent fails at once, `executed: never`. */
  start(attempt: Attempt): void;
  /** Takes no more calls and closes when those in flight have ended. */
  drain(): void;
  /** Closes at once; calls in flight fail. */
  close(reason: string): void;
}

export interface ClientSessionOwner {
  /** The provider speaks the protocol, and more calls may go out. */
  onWelcome(session: ClientSession): void;
  /** `hasRoom` is true again. */
  onRoom(session: ClientSession): void;
  /**
   * The provider takes no more calls on this connection; those in flight go on. `turnedAway`: why, when it took none at
   * all; connecting again will fare no better for now.
   */
  onGoingAway(session: ClientSession, turnedAway: string | undefined): void;
  onClosed(session: ClientSession, reason: string | undefined): void;
}

/** Wants to know whether a provider can be reached that is connected to anew by each call. */
export interface ReachObserver {
  onReached(): void;
  /** The call fails `executed: never` right after. */
  onUnreachable(reason: string): void;
}

/** Calls to one provider, of which each makes a connection of its own. */
export interface ConnectingCalls {
  readonly inFlight: number;
  start(attempt: Attempt): void;
}

/** Whom a transport that can prove it must find at the other end. */
export type ExpectedPeer = Pick<ConnectOptions, "peerName" | "tlsName" | "ownSocket">;

/** One provider, as its registry entry describes it to its protocol. */
export interface ProviderPlace {
  readonly address: Address;
  /** Whom the other end must prove to be, for `Transport.connect`. */
  readonly expected: ExpectedPeer;
  readonly attributes: Readonly<Record<string, string>>;
}

/** A protocol of which a connection carries many calls. */
export interface SharedConnectionProtocol {
  readonly name: ProtocolName;
  /** Its name where TLS agrees on one (ALPN). */
  readonly alpn: string;
  readonly connects: "once";
  /**
   * A provider says how many calls a connection may carry, and they may be few: one more is made when all that are there
   * are full, up to this many. Default: as many as the channel's `connections`.
   */
  readonly connectionsMax?: number;
  /** Takes over a connection that was just made. */
  open(connection: Connection, owner: ClientSessionOwner, place: ProviderPlace): ClientSession;
}

/** A protocol of which each call makes a connection. */
export interface ConnectionPerCallProtocol {
  readonly name: ProtocolName;
  readonly connects: "each-call";
  open(place: ProviderPlace, observer: ReachObserver): ConnectingCalls;
}

/** A protocol as a channel speaks it. */
export type ClientProtocol = SharedConnectionProtocol | ConnectionPerCallProtocol;
