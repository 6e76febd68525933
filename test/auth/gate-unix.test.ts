import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { RpcProvider, Status } from "../../src/index.js";
import { openRegistry } from "../../src/registry/open.js";
import { deferred, failure } from "../support/async.js";
import { Cluster } from "../support/cluster.js";
import { FlowService, FlowServiceStub } from "../support/gen/flow.js";
import { ProbeService, ProbeServiceStub } from "../support/gen/probe.js";
import { startGuarded, token } from "./guarded.js";

/** Sockets of one test, in a folder of its own. */
function sockets(): (name: string) => string {
  const folder = mkdtempSync(path.join(tmpdir(), "mprpc-gate-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return (name) => `unix:${folder}/${name}`;
}

const at = (host: string) => ({
  over: "unix" as const,
  settings: { provider: { listen: { host, port: 0 } } },
});

describe("callers on a unix socket", () => {
  test("are who may open it, by the path, and the policy says what that is worth", async () => {
    const socket = sockets();
    const policy = { "probe.ProbeService/Echo": socket("web"), "flow.*": "unix:*" };
    const web = await startGuarded({ policy }, undefined, at(socket("web")));
    expect((await web.stub.echo({ text: "a" })).text).toBe("a");
    expect((await web.flow.put([{ number: 1 }, { number: 2 }])).number).toBe(3);
    expect(web.served).toEqual([`Echo ${socket("web")} undefined`, `Put ${socket("web")} undefined`]);
    expect(await failure(web.stub.note({}))).toMatchObject({
      code: Status.PERMISSION_DENIED,
      executed: "never",
    });
    const ops = await startGuarded({ policy }, undefined, at(socket("ops")));
    const error = await failure(ops.stub.echo({}));
    expect(error).toMatchObject({ code: Status.PERMISSION_DENIED, executed: "never" });
    expect(ops.log.at("warn")).toContain(`denied: probe.ProbeService/Echo to ${socket("ops")}`);
    expect((await ops.flow.ask({ number: 4 })).number).toBe(4);
  });

  test("are the same by any spelling of the path, in rules too", async () => {
    const socket = sockets()("web");
    const slashes = socket.replace("unix:/", "unix:///");
    const cluster = new Cluster({ over: "unix" });
    const provider = new RpcProvider(cluster.runtime(), { policy: { "*": slashes } });
    provider.notifyService(ProbeService, {
      echo: (_request, { peer }) => ({ text: `${peer.identities.transport}` }),
      relay: (request) => request,
      note: (request) => request,
    });
    cluster.onClose(() => provider.shutdown());
    expect(await provider.listen(slashes).start()).toEqual({ host: socket, port: 0 });
    const registry = openRegistry(`static://${slashes}`);
    const stub = new ProbeServiceStub(cluster.channel({ registry }));
    expect((await stub.echo({})).text).toBe(socket);
  });

  test("may be asked for a token as well, and stream with it", async () => {
    const socket = sockets();
    const policy = { "*": "unix:* + token:alice" };
    const authenticators = [async () => "token:alice"];
    const { stub, flow, served } = await startGuarded({ policy, authenticators }, undefined, at(socket("x")));
    expect(await failure(stub.echo({}))).toMatchObject({ code: Status.PERMISSION_DENIED });
    const replies = flow.watch({}, token("alice"))[Symbol.asyncIterator]();
    expect((await replies.next()).value).toMatchObject({ number: 1 });
    expect(served).toEqual([`Watch ${socket("x")} token:alice`]);
    await replies.return?.();
  });
});

test("a provider that stops lets the streams of its unix socket end, and takes the socket away", async () => {
  const socket = sockets()("drain");
  const cluster = new Cluster({ ...at(socket), over: "unix" });
  const draining = deferred("context.draining");
  const settings = { provider: { drainTimeoutMs: 60_000 } };
  const provider = new RpcProvider(cluster.runtime({ settings })).notifyService(FlowService, {
    watch: () => [],
    put: () => ({}),
    async *chat(requests, context) {
      context.draining.addEventListener("abort", () => draining.resolve());
      yield* requests;
    },
    ask: (request) => request,
  });
  cluster.onClose(() => provider.shutdown());
  await provider.start();
  const stub = new FlowServiceStub(cluster.channel());
  const last = deferred();
  const replies = stub
    .chat(
      (async function* () {
        yield { number: 1 };
        await last.promise;
        yield { number: 2 };
      })(),
    )
    [Symbol.asyncIterator]();
  expect((await replies.next()).value).toMatchObject({ number: 1 });
  const stopped = provider.shutdown();
  await draining.promise;
  last.resolve();
  expect((await replies.next()).value).toMatchObject({ number: 2 });
  expect((await replies.next()).done).toBe(true);
  await stopped;
  expect(existsSync(socket.slice("unix:".length))).toBe(false);
  expect(await failure(stub.ask({}))).toMatchObject({ code: Status.UNAVAILABLE, executed: "never" });
});
