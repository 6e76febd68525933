import { describe, expect, test } from "vitest";
import type { Authenticate } from "../../src/auth/authenticator.js";
import { type ProviderOptions, RpcError, Status } from "../../src/index.js";
import { settle } from "../../src/testing/index.js";
import { deferred, failure } from "../support/async.js";
import type { ClusterOptions, Over } from "../support/cluster.js";
import { ProbeService } from "../support/gen/probe.js";
import { noteLeak } from "../tools/leaks/notes.js";
import { byName, startGuarded, token } from "./guarded.js";

/** What a token is good for, whichever way the call that brings it goes. */
export function tokenTests(over: Over): void {
  const start = (options: ProviderOptions, as?: string, more: ClusterOptions = {}) =>
    startGuarded(options, as, { over, ...more });
  /** Who calls without a token. */
  const nobody = over === "inproc" ? "inproc:node" : undefined;
  const without = nobody === undefined ? Status.UNAUTHENTICATED : Status.PERMISSION_DENIED;

  describe(`tokens over ${over}`, () => {
    const policy = {
      "probe.ProbeService/*": "token:alice | token:bob",
      "probe.ProbeService/Note": "token:bob",
    };

    test("of two users on one connection are told apart, and each is asked about once", async () => {
      const asked: string[] = [];
      const options = { policy, authenticators: [byName(() => pair.cluster, asked)] };
      const pair = await start(options);
      const { stub, served } = pair;
      for (const name of ["alice", "bob", "alice", "bob"]) await stub.echo({}, token(name));
      expect(served.map((one) => one.split(" ")[2])).toEqual([
        "token:alice",
        "token:bob",
        "token:alice",
        "token:bob",
      ]);
      expect(await failure(stub.note({}, token("alice")))).toMatchObject({ code: Status.PERMISSION_DENIED });
      await stub.note({}, token("bob"));
      expect((await failure(stub.echo({}))).code).toBe(without);
      expect(asked).toEqual(["alice", "bob"]);
      expect(pair.provider.connections).toBe(1);
    });

    test("of calls made at once are checked once, and the calls wait without a handler's place", async () => {
      const gate = deferred<string>();
      let asked = 0;
      const authenticate: Authenticate = () => {
        asked++;
        return gate.promise;
      };
      const more = { settings: { provider: { inFlightMax: 1 } } };
      const pair = await start({ policy, authenticators: [authenticate] }, undefined, more);
      const calls = Array.from({ length: 50 }, (_, i) => pair.stub.echo({ number: i }, token("x")));
      await settle();
      expect(asked).toBe(1);
      expect(pair.served).toEqual([]);
      gate.resolve("token:bob");
      expect((await Promise.all(calls)).map(({ number }) => number)).toEqual(calls.map((_, i) => i));
    });

    test("that nobody knows, or that cannot be checked, fail by name and show no token", async () => {
      const pair = await start({ policy, authenticators: [byName(() => pair.cluster)] });
      const unknown = await failure(pair.stub.echo({}, token("stranger")));
      expect(unknown).toMatchObject({ code: Status.UNAUTHENTICATED, executed: "never" });
      const broken = await failure(pair.stub.echo({}, token("broken-secret-0123456789")));
      expect(broken.code).toBe(Status.PERMISSION_DENIED);
      const failing = await failure(pair.stub.echo({}, token("broken")));
      expect(failing).toMatchObject({ code: Status.UNAVAILABLE, executed: "never" });
      const text = JSON.stringify([pair.log.lines, failing.message, unknown.message]);
      expect(text).toContain("an authenticator failed");
      expect(text).not.toContain("Bearer");
    });

    test("are given so much time, and the check ends with the last call that waits", async () => {
      const signals: AbortSignal[] = [];
      const never: Authenticate = (_metadata, _peer, signal) => {
        signals.push(signal);
        return new Promise(() => {});
      };
      const { stub, clock } = await start({ policy, authenticators: [never] });
      const late = failure(stub.echo({}, { ...token("x"), timeoutMs: 60_000 }));
      await clock.run(11_000);
      expect(await late).toMatchObject({ code: Status.UNAVAILABLE, executed: "never" });
      const abort = new AbortController();
      const given = failure(stub.echo({}, { ...token("y"), signal: abort.signal }));
      await settle();
      expect(signals.at(-1)?.aborted).toBe(false);
      abort.abort();
      await given;
      await settle();
      expect(signals.at(-1)?.aborted).toBe(true);
    });

    test("may not claim what only a transport can prove", async () => {
      const { stub, log } = await start({
        policy: { "*": "secret:web" },
        authenticators: [async () => "secret:web"],
      });
      expect(await failure(stub.echo({}, token("x")))).toMatchObject({ code: Status.UNAVAILABLE });
      expect(log.at("error").join()).toContain("none of the transport's kinds");
    });

    test("an authenticator sees the keys it names and nothing else", async () => {
      const seen: unknown[] = [];
      const authenticate: Authenticate = async (metadata, peer) => {
        seen.push(
          [...metadata].map(([key]) => key),
          peer.identities,
        );
        return `token:${metadata.getText("x-api-key")}`;
      };
      const options = { policy, authenticators: [{ authenticate, keys: ["X-Api-Key"] }] };
      const { stub } = await start(options, "secret:gw");
      await stub.echo({}, { metadata: { tenant: "t", "x-api-key": "alice" } });
      expect(seen).toEqual([["x-api-key"], { transport: over === "inproc" ? "inproc:node" : "secret:gw" }]);
      expect(await failure(stub.echo({}, { metadata: { tenant: "t" } }))).toMatchObject({
        code: Status.PERMISSION_DENIED,
      });
    });

    test("that expire are asked about again, in the middle of a connection", async () => {
      const asked: string[] = [];
      const pair = await start({ policy, authenticators: [byName(() => pair.cluster, asked)] });
      const until = token(`alice@${pair.clock.now() + 5000}`);
      await pair.stub.echo({}, until);
      await pair.stub.echo({}, until);
      expect(asked).toHaveLength(1);
      await pair.clock.run(6000);
      const error = await failure(pair.stub.echo({}, until));
      expect(error).toMatchObject({ code: Status.UNAUTHENTICATED, executed: "never" });
      expect(error.rawMessage).toContain("expired");
      expect(asked).toHaveLength(2);
      expect(pair.provider.connections).toBe(1);
    });

    test("large requests, streams and oneway calls wait as well", async () => {
      const gate = deferred<string>();
      const options = { policy: { "*": "token:bob" }, authenticators: [() => gate.promise] };
      const { stub, flow, channel, served } = await start(options);
      const large = stub.note({ data: Buffer.alloc(600_000, 7) }, token("x"));
      const put = flow.put([{ number: 1 }, { number: 2 }], token("x"));
      const oneway = channel.oneway(ProbeService.methods.echo, {}, token("x"));
      await settle();
      await settle();
      expect(served).toEqual([]);
      gate.resolve("token:bob");
      expect((await large).data.length).toBe(600_000);
      expect((await put).number).toBe(3);
      await oneway;
      await settle();
      expect(served.sort()).toEqual([`Echo ${nobody} token:bob`, `Put ${nobody} token:bob`]);
    });

    test("large requests and streams of strangers are refused when the answer comes", async () => {
      const gate = deferred<undefined>();
      const { stub, flow, served } = await start({ policy, authenticators: [() => gate.promise] });
      const large = failure(stub.note({ data: Buffer.alloc(600_000, 7) }, token("x")));
      const put = failure(flow.put([{ number: 1 }], token("x")));
      await settle();
      gate.resolve(undefined);
      expect(await large).toMatchObject({ code: Status.UNAUTHENTICATED, executed: "never" });
      expect(await put).toMatchObject({ code: Status.UNAUTHENTICATED, executed: "never" });
      expect(served).toEqual([]);
    });

    test("the peer of a handler shows no token, however it is printed", async () => {
      let shown = "";
      const { stub } = await start({
        authenticators: [async () => "token:bob"],
        interceptors: [
          (next) => async (call) => {
            const { inspect } = await import("node:util");
            shown = inspect(call.context.peer, { depth: 9 }) + JSON.stringify(call.context.peer);
            shown += JSON.stringify(call.context.metadata);
            return next(call);
          },
        ],
      });
      await stub.echo({}, token("canary-0123456789"));
      expect(shown).toContain("token:bob");
      expect(shown).not.toContain("canary");
      noteLeak("the peer of a handler", shown);
    });
  });

  describe(`open streams over ${over}`, () => {
    test("end UNAUTHENTICATED when their token expires", async () => {
      const pair = await start({ policy: { "*": "token:*" }, authenticators: [byName(() => pair.cluster)] });
      const until = token(`alice@${pair.clock.now() + 5000}`);
      const replies = pair.flow.watch({}, until)[Symbol.asyncIterator]();
      expect((await replies.next()).value).toMatchObject({ number: 1 });
      const end = failure(replies.next() as Promise<unknown>);
      await pair.clock.run(6000);
      expect(await end).toMatchObject({ code: Status.UNAUTHENTICATED });
      expect(await pair.ended).toBeInstanceOf(RpcError);
    });

    test("go on when the token is good for longer by then", async () => {
      let untilMs = 0;
      const authenticate: Authenticate = async () => ({ name: "token:bob", expiresAtMs: untilMs });
      const pair = await start({ policy: { "*": "token:*" }, authenticators: [authenticate] });
      untilMs = pair.clock.wallNow() + 5000;
      const replies = pair.flow.watch({}, token("x"))[Symbol.asyncIterator]();
      await replies.next();
      untilMs = pair.clock.wallNow() + 20_000;
      const end = failure(replies.next() as Promise<unknown>);
      await pair.clock.run(10_000);
      expect(pair.provider.inFlight).toBe(1);
      untilMs = 1;
      await pair.clock.run(12_000);
      expect(await end).toMatchObject({ code: Status.UNAUTHENTICATED });
    });
  });
}
