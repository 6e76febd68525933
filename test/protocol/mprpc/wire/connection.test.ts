import { describe, expect, test } from "vitest";
import { systemClock } from "../../../../src/base/clock.js";
import { Metadata } from "../../../../src/base/metadata.js";
import { Attempt } from "../../../../src/call/attempt.js";
import type { ServerCall } from "../../../../src/call/server-call.js";
import { Turn } from "../../../../src/call/turn.js";
import type { RpcError } from "../../../../src/error/rpc-error.js";
import { MprpcClientSession } from "../../../../src/protocol/mprpc/client-session.js";
import { MprpcServerSession } from "../../../../src/protocol/mprpc/server-session.js";
import { SharedBudget } from "../../../../src/protocol/mprpc/streams/budget.js";
import { defaultWireLimits } from "../../../../src/protocol/mprpc/wire/limits.js";
import { Health, ServingStatus } from "../../../../src/services/builtin.js";
import type { Connection, ConnectionHandler } from "../../../../src/transport/transport.js";
import { openGate } from "../../../support/open-gate.js";
import { decodeChunks, encodedFrame, type VectorFrame } from "./vectors.js";

/** What the two connections owe each other by WIRE.md, frame by frame; the other side is the test. */
class FakeConnection implements Connection {
  readonly remote = "127.0.0.1:2";
  readonly local = "127.0.0.1:1";
  readonly unwrittenBytes = 0;
  closed = false;
  #handler: ConnectionHandler | undefined;
  #written: Buffer[] = [];

  setHandler(handler: ConnectionHandler): void {
    this.#handler = handler;
  }
  write(data: Uint8Array): boolean {
    this.#written.push(Buffer.from(data));
    return true;
  }
  pause(): void {}
  resume(): void {}
  end(): void {}
  destroy(): void {
    this.closed = true;
  }
  reset(): void {
    this.closed = true;
  }

  receive(...frames: VectorFrame[]): void {
    this.#handler?.onData(Buffer.concat(frames.map(encodedFrame)));
  }

  /** Frames written so far in this turn and before, each once. */
  async sent(): Promise<VectorFrame[]> {
    await new Promise((resolve) => process.nextTick(resolve));
    return decodeChunks(this.#written.splice(0)).frames;
  }
}

const limits = defaultWireLimits;
const keepalive = { intervalMs: 1e9, timeoutMs: 1e9 };
const check = Health.methods.check;
const names = { service_name: check.service, method_name: check.name };

class Call extends Attempt {
  failure: RpcError | undefined;
  constructor(metadata?: Metadata) {
    const facts = { idempotencyKey: undefined, oneway: false, stream: undefined, deadlineMs: Infinity };
    const call = { method: check, request: { service: "" }, metadata, ...facts };
    super({ ...call, onAttempt() {}, onReply() {}, onFailure() {} }, 0);
  }
  override onFailure(error: RpcError): void {
    this.failure = error;
  }
}

function caller(): { connection: FakeConnection; client: MprpcClientSession } {
  const connection = new FakeConnection();
  const owner = { onWelcome() {}, onRoom() {}, onGoingAway() {}, onClosed() {} };
  const options = { limits, keepalive, unwrittenMaxBytes: 64 << 20 };
  return { connection, client: new MprpcClientSession(connection, systemClock, options, owner) };
}

function provider(maxInFlight: number): FakeConnection {
  const connection = new FakeConnection();
  const bound = {
    definition: check,
    replySizeBytes: 1,
    number: 0,
    builtin: false,
    invoke(call: ServerCall) {
      call.handlerStarted = true;
      for (const [key, value] of call.metadata) call.replyMetadata.append(key, value);
      return { status: ServingStatus.SERVING };
    },
  };
  const dispatcher = {
    clock: systemClock,
    turn: new Turn(systemClock),
    find: () => bound,
    enter: openGate,
    admit: () => undefined,
    onCallStart() {},
    onArrived() {},
    onOnewayDropped() {},
    onCallEnd() {},
    onCallbackError() {},
    onDetached() {},
    onConnectionClosed() {},
  };
  const options = {
    limits,
    keepalive,
    maxInFlight,
    pauseAtBytes: 1 << 20,
    unwrittenMaxBytes: 64 << 20,
    streamBudget: new SharedBudget(Infinity),
  };
  new MprpcServerSession(connection, dispatcher, options);
  return connection;
}

const settings = (header_max_bytes: number): VectorFrame => ({
  kind: "SETTINGS",
  settings: { body_max_bytes: 4 << 20, max_in_flight: 100, header_max_bytes },
});

describe("caller", () => {
  test("sends settings in front of its first call, in the same write", async () => {
    const { connection, client } = caller();
    client.start(new Call());
    const [first, second] = await connection.sent();
    expect(first).toEqual({
      kind: "SETTINGS",
      settings: {
        ...{ body_max_bytes: 4 << 20, max_in_flight: 0, header_max_bytes: 65_536 },
        ...{ chunks: true, arriving_max: 64, arriving_bytes: 32 << 20 },
      },
    });
    expect(second).toMatchObject({ kind: "CALL", call_id: 128, method_index: 1, ...names });
  });

  test("a header over the provider's limit fails one call, not the connection", async () => {
    const { connection, client } = caller();
    connection.receive(settings(1000));
    const call = new Call(new Metadata({ a: "x".repeat(1000) }));
    client.start(call);
    expect(call.failure).toMatchObject({ codeName: "RESOURCE_EXHAUSTED", executed: "never" });
    expect(call.failure?.message).toMatch(/provider's limit of 1000 \(its limits.header\)/);
    const next = new Call();
    client.start(next);
    expect(next.failure).toBeUndefined();
    expect((await connection.sent()).at(-1)).toMatchObject({ kind: "CALL", call_id: 128, ...names });
  });

  test.each([
    ["none was accepted", 0, ["never", "never"]],
    ["the first was accepted", 1, [undefined, "never"]],
    ["both were accepted", 2, [undefined, undefined]],
    ["none was: the count is about to go round", 0xffff_ffff, ["never", "never"]],
  ])("going away, %s", (_what, accepted_calls, expected) => {
    const { connection, client } = caller();
    const calls = [new Call(), new Call()];
    for (const call of calls) client.start(call);
    connection.receive({ kind: "GOING_AWAY", accepted_calls });
    expect(calls.map(({ failure }) => failure?.executed)).toEqual(expected);
  });
});

describe("provider", () => {
  test("takes the 1,024 calls a caller may send before settings, whatever it serves at a time", async () => {
    const connection = provider(10);
    connection.receive({ kind: "CALL", call_id: 1024 * 128, method_index: 1, ...names });
    expect(connection.closed).toBe(false);
    expect(await connection.sent()).toMatchObject([
      { kind: "SETTINGS", settings: { max_in_flight: 10, header_max_bytes: 65_536 } },
      { kind: "REPLY", call_id: 1024 * 128, body: "0801" },
    ]);
  });

  test("closes on a number far out of range, so that no table grows without bound", () => {
    const connection = provider(10);
    connection.receive({ kind: "CALL", call_id: 0x7fff_ffff, method_index: 1, ...names });
    expect(connection.closed).toBe(true);
  });

  test("a reply header over the caller's limit becomes an error the caller can read", async () => {
    const connection = provider(10);
    connection.receive(settings(1000), {
      kind: "CALL",
      call_id: 128,
      ...names,
      metadata: [{ key: "echoed", text: "x".repeat(1000) }],
    });
    const reply = (await connection.sent()).at(-1);
    expect(reply).toMatchObject({
      kind: "REPLY",
      call_id: 128,
      status: "RESOURCE_EXHAUSTED",
      executed: "YES",
    });
    expect(reply?.metadata).toBeUndefined();
  });

  test("passes over kinds it does not know or a caller does not send, and goes on", async () => {
    const connection = provider(10);
    connection.receive(
      { kind: "REPLY", call_id: 128 },
      { kind: "GOING_AWAY", accepted_calls: 0 },
      { kind: "CANCEL", call_id: 77 },
      { kind: "PING", ping_id: 9 },
    );
    expect((await connection.sent()).at(-1)).toEqual({ kind: "PONG", ping_id: 9 });
    expect(connection.closed).toBe(false);
  });
});
