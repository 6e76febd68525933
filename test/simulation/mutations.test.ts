import { describe, expect, test } from "vitest";
import type { Clock } from "../../src/base/clock.js";
import { DeadlineWheel } from "../../src/base/deadlines.js";
import { RpcError } from "../../src/index.js";
import { internals, runtimeOf } from "../../src/runtime/app.js";
import type { Runtime } from "../../src/runtime/runtime.js";
import { type SimulatedApp, SimulationError, simulate } from "../../src/testing/index.js";
import type { Connection, ConnectionHandler, Transport } from "../../src/transport/transport.js";
import { scenario } from "./scenario.js";
import type { Sabotage } from "./world.js";

/** A connection with some of it replaced. */
function changed(inner: Connection, changes: Partial<Connection>): Connection {
  return {
    get remote() {
      return inner.remote;
    },
    get local() {
      return inner.local;
    },
    get unwrittenBytes() {
      return inner.unwrittenBytes;
    },
    get closed() {
      return inner.closed;
    },
    setHandler: (handler) => inner.setHandler(handler),
    write: (data) => inner.write(data),
    pause: () => inner.pause(),
    resume: () => inner.resume(),
    end: () => inner.end(),
    destroy: (error) => inner.destroy(error),
    reset: () => inner.reset(),
    ...changes,
  };
}

/** `app` with other parts inside. */
function withParts(app: SimulatedApp, parts: Partial<Runtime>): SimulatedApp {
  return { ...app, [internals]: { ...runtimeOf("sabotage", app), ...parts } };
}

/** The app with every connection of it passed through `change`. */
function withConnections(app: SimulatedApp, change: (connection: Connection) => Connection): SimulatedApp {
  const { transport } = app;
  const wrapped: Transport = {
    connect: async (address, options) => change(await transport.connect(address, options)),
    listen: (address, onConnection) => transport.listen(address, (one) => onConnection(change(one))),
    localHostTowards: (address) => transport.localHostTowards(address),
  };
  return withParts(app, { transport: wrapped });
}

/** Sends what is small once more, a little later: the number of a call may be another call's by then, and a nested request is one more. */
const repliesTwice: Sabotage = {
  providerApp: (app) =>
    withConnections(app, (inner) =>
      changed(inner, {
        write(data) {
          const copy = Buffer.from(data);
          if (copy.length < 1000) app.clock.setTimer(() => void inner.write(copy), 2);
          return inner.write(data);
        },
      }),
    ),
};

const swapsBytes: Sabotage = {
  callerApp: (app) =>
    withConnections(app, (inner) =>
      changed(inner, {
        write(data) {
          // The last byte of a write is most often the last of a body.
          const last = data.length - 1;
          if (last > 200) data[last] = (data[last] as number) ^ 1;
          return inner.write(data);
        },
      }),
    ),
};

/** Keeps to itself that a connection has ended, and asks no more whether it lives, which would make up for it. */
const tellsNoEnd: Sabotage = {
  callerApp: (app) => {
    const deaf = withConnections(app, (inner) =>
      changed(inner, {
        setHandler(handler: ConnectionHandler) {
          inner.setHandler({
            onData: (chunk) => handler.onData(chunk),
            onDrain: () => handler.onDrain(),
            onEnd: () => {},
            onClose: () => {},
          });
        },
      }),
    );
    return withParts(deaf, { settings: { ...app.settings, keepalive: { intervalMs: 1e9, timeoutMs: 1e9 } } });
  },
};

const runsTwice: Sabotage = {
  serverInterceptors: [
    (next) => async (call) => {
      await next(call).catch(() => {});
      return next(call);
    },
  ],
};

const retriesBlindly: Sabotage = {
  clientInterceptors: [(next) => (call) => next(call).catch(() => next(call))],
};

const denies: Sabotage = {
  clientInterceptors: [
    (next) => (call) =>
      next(call).catch((error: RpcError) => {
        throw error.with({}, "never");
      }),
  ],
};

const claims: Sabotage = {
  clientInterceptors: [
    (next) => (call) =>
      next(call).catch((error: RpcError) => {
        throw error.with({}, "yes");
      }),
  ],
};

const forgets: Sabotage = {
  clientInterceptors: [(next) => (call) => next(call).catch(() => new Promise(() => {}))],
};

const neverLate: Sabotage = {
  callerApp: (app) => {
    const frozen: Clock = {
      ...app.clock,
      now: () => 0,
      wallNow: () => 0,
      setTimer: () => ({ cancel: () => {} }),
    };
    return withParts(app, { wheel: new DeadlineWheel(frozen) });
  },
};

const leaksTimers: Sabotage = {
  providerApp: (app) =>
    withConnections(app, (inner) => {
      app.clock.setTimer(() => {}, 1e9);
      return inner;
    }),
};

const failsWithoutReason: Sabotage = {
  serverInterceptors: [
    (next) => async (call) => {
      if (call.context.timeLeftMs() % 7 < 1) throw new RpcError(14, "too busy");
      return next(call);
    },
  ],
};

const losesMessages: Sabotage = {
  clientInterceptors: [
    (next) => async (call) => {
      if (call.kind === "client_streaming" || call.kind === "bidi_streaming") {
        const source = call.request as AsyncIterable<{ number: number }>;
        call.request = (async function* () {
          for await (const one of source) if (one.number !== 4) yield one;
        })();
      }
      return next(call);
    },
  ],
};

/** Never asks the generator for its end. */
const keepsHandlers: Sabotage = {
  serverInterceptors: [
    (next) => async (call) => {
      const reply = await next(call);
      if (call.kind !== "server_streaming") return reply;
      const inner = (reply.message as AsyncIterable<unknown>)[Symbol.asyncIterator]();
      const message = { [Symbol.asyncIterator]: () => ({ next: () => inner.next() }) };
      return { message, metadata: reply.metadata, trailers: reply.trailers };
    },
  ],
};

describe("the invariants notice", () => {
  test.each<[string, Sabotage, RegExp]>([
    [
      "a transport that delivers a reply twice",
      repliesTwice,
      /was given the reply to|was given metadata of|ran 2 times|got reply \d+ .*in place/,
    ],
    ["a transport that swaps a byte", swapsBytes, /another body|which nobody called|cannot be decoded/],
    ["a transport that tells no end", tellsNoEnd, /hang|after its deadline|left behind|the faults are over/],
    ["a provider that runs a call twice", runsTwice, /ran 2 times/],
    ["a caller that retries whatever failed", retriesBlindly, /ran 2 times/],
    ["a caller that says never of what ran", denies, /failed as never executed, and ran/],
    ["a caller that says yes of what never ran", claims, /failed as executed, and never ran/],
    ["a call that does not settle", forgets, /these calls hang/],
    ["deadlines that do not come", neverLate, /after its deadline|hang/],
    ["a timer that is left", leaksTimers, /left behind: \d+ timers/],
    ["a stream that loses a message", losesMessages, /got (reply|request) \d+ .*in place|and \d+ came/],
    ["a handler of a stream that does not end", keepsHandlers, /has not come to its end/],
    ["a failure that nothing explains", failsWithoutReason, /no fault was made|the faults are over/],
  ])("%s", async (_what, sabotage, message) => {
    const error = await simulate({ seeds: 60, twice: 0 }, (sim) => scenario(sim, sabotage)).catch(
      (one) => one,
    );
    expect(error).toBeInstanceOf(SimulationError);
    expect((error as SimulationError).message).toMatch(message);
  });
});
