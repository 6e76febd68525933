import type { AccountedConnection } from "../auth/account.js";
import type { CallGate } from "../auth/call-gate.js";
import type { Peer, ProtocolName } from "../call/peer.js";
import type { BoundMethod, ServerCall, ServerCallHost } from "../call/server-call.js";
import type { RpcError } from "../error/rpc-error.js";
import type { Connection, ConnectionHandler } from "../transport/transport.js";

/** What a connection asks of the provider. */
export interface Dispatcher extends ServerCallHost {
  /** By full or short service name, and the .proto's spelling of the method. */
  find(service: string, method: string): BoundMethod | undefined;
  /** A connection begins: the gate that knows who makes its calls and whether they may be made. To be closed with it. */
  enter(
    connection: Pick<Connection, "remote" | "security">,
    protocol: ProtocolName,
    session: AccountedConnection,
  ): CallGate;
  /**
   * Takes a call in, or says why not. Every call taken in ends in `onCallEnd`. `arriving`: it takes no handler's place yet, and comes
   * here again when it does.
   */
  admit(bound: BoundMethod, caller: Peer, arriving: boolean): RpcError | undefined;
  /** A call that was taken in starts. While it is `arriving` it takes no handler's place. */
  onCallStart(call: ServerCall): void;
  /** A call that was `arriving` is so no more: its request is whole, or it has ended. */
  onArrived(call: ServerCall): void;
  /** A call that wants no reply was refused, which nobody else is told. */
  onOnewayDropped(reason: RpcError): void;
  onConnectionClosed(connection: ServedSession, reason: string | undefined): void;
}

/** A caller that is served, whatever its protocol. */
export interface ServedSession extends AccountedConnection {
  readonly peer: Peer;
  readonly inFlight: number;
  /** Bytes that wait because the caller does not read. */
  readonly unsentBytes: number;
  /** Takes no more calls, says why where the protocol allows it, and closes when those in flight have ended. */
  drain(why: string): void;
  /**
   * The caller may not be served at all. If missing, `drain` tells it why; a protocol whose other clients would only connect again
   * refuses its calls with the reason instead, and drains then.
   */
  turnAway?(why: string): void;
  /** Cancels the calls in flight, tells their callers where the protocol allows it, and closes. */
  stop(why: string): void;
  /** Closes at once, without another word; the calls in flight are cancelled. */
  close(reason: string): void;
}

/** A connection that is served: its bytes are given to it. */
export interface ServerSession extends ServedSession, ConnectionHandler {}
