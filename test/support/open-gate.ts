import { Accounts } from "../../src/auth/account.js";
import { CallGate } from "../../src/auth/call-gate.js";
import { Caller } from "../../src/auth/caller.js";
import { Guard } from "../../src/auth/guard.js";
import { Policy } from "../../src/auth/policy.js";
import { systemClock } from "../../src/base/clock.js";
import { createCallEmitter } from "../../src/call/events.js";
import type { ProtocolName } from "../../src/call/peer.js";
import { silentLogger } from "../../src/log/logger.js";
import { peerOf } from "../../src/protocol/peer-of.js";
import type { Connection } from "../../src/transport/transport.js";

/** What `Dispatcher.enter` gives where everybody may call. */
export function openGate(connection: Connection, protocol: ProtocolName): CallGate {
  const accounts = new Accounts(false);
  const events = createCallEmitter(silentLogger);
  const policy = new Policy([]);
  const parts = { clock: systemClock, log: silentLogger, events, accounts, policy };
  const guard = new Guard({ ...parts, authenticators: [], checkTimeoutMs: 5000 });
  const own = accounts.open("test", 0);
  const caller = new Caller(peerOf(connection, protocol), { own, connection: own }, [], Infinity);
  return new CallGate(guard, caller, () => {});
}
