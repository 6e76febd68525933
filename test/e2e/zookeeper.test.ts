import { mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { UserServiceRpcStub } from "../../example/caller/src/gen/user.js";
import { MprpcApplication, RpcChannel, silentLogger } from "../../src/index.js";
import { type Child, startScript } from "../tools/child.js";
import { eventually, timed } from "../tools/wait.js";
import { freePort, sessionTimeoutMs, ZooKeeperServer } from "../tools/zookeeper.js";

/** Whole nodes over a real ZooKeeper: providers in processes of their own, a caller here. */

const session = `--zookeeper.sessiontimeout=${sessionTimeoutMs}`;
let zookeeper: ZooKeeperServer;
let snapshots: string;
const closing: Array<() => Promise<unknown>> = [];

beforeEach(async () => {
  zookeeper = await ZooKeeperServer.start();
  snapshots = mkdtempSync(path.join(tmpdir(), "mprpc-snapshots-"));
});

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  await zookeeper.stop();
  rmSync(snapshots, { recursive: true, force: true });
});

function nodeFlags(): string[] {
  return [`--registry=zookeeper://${zookeeper.address}`, session, `--zookeeper.snapshotdir=${snapshots}`];
}

interface Node {
  child: Child;
  port: number;
  pid: string;
}

async function startProvider(port = 0): Promise<Node> {
  const child = startScript(
    new URL("node-process.ts", import.meta.url),
    ...nodeFlags(),
    `--rpcserverport=${port}`,
  );
  closing.push(() => child.kill());
  const line = await child.line(/^serving on \d+$/);
  return { child, port: Number(line.split(" ").at(-1)), pid: String(child.pid) };
}

async function startCaller(): Promise<UserServiceRpcStub> {
  const app = await MprpcApplication.init(["node", "caller", ...nodeFlags()], {
    log: silentLogger,
    cwd: snapshots,
  });
  const channel = new RpcChannel(app);
  closing.push(async () => {
    await channel.close();
    await app.close();
  });
  return new UserServiceRpcStub(channel);
}

/** Calls once; the pid of the provider that answered. */
async function whoAnswers(user: UserServiceRpcStub): Promise<string> {
  const { result } = await user.login({ name: "zhang san", pwd: "123456" });
  return result?.errmsg.toString() ?? "";
}

/** Resolves when calls are answered by exactly these providers. */
async function answeredBy(user: UserServiceRpcStub, ...nodes: Node[]): Promise<void> {
  const wanted = nodes.map(({ pid }) => pid).sort();
  await eventually(`calls are answered by ${wanted.join(" and ")}`, async () => {
    const seen = new Set<string>();
    for (let i = 0; i < 4 * wanted.length; i++) seen.add(await whoAnswers(user));
    return [...seen].sort().join() === wanted.join();
  });
}

/** Calls without a pause until `stop`; every one must succeed. */
function keepCalling(user: UserServiceRpcStub): { stop(): Promise<number> } {
  let stopped = false;
  const run = async (): Promise<number> => {
    let calls = 0;
    for (; !stopped; calls++) await whoAnswers(user);
    return calls;
  };
  const running = run();
  // Handled by whoever stops it; until then a failure must not count as unhandled.
  running.catch(() => {});
  return {
    stop: () => {
      stopped = true;
      return running;
    },
  };
}

describe("nodes over ZooKeeper", () => {
  it("writes znodes that its own CLI shows, ours and the classic ones", async () => {
    const { port } = await startProvider();
    const ours = await zookeeper.cli("ls", "/mprpc/fixbug.UserServiceRpc/providers");
    expect(decodeURIComponent(ours)).toContain(`127.0.0.1:${port}?`);
    expect(await zookeeper.cli("get", "/UserServiceRpc/Login")).toContain(`127.0.0.1:${port}`);
    const stat = await zookeeper.cli("stat", "/UserServiceRpc/Login");
    expect(stat).toMatch(/ephemeralOwner = 0x[1-9a-f]/);
    expect(await zookeeper.cli("stat", "/UserServiceRpc")).toMatch(/ephemeralOwner = 0x0/);
  });

  it("is found and called by a C++ caller, who reads the classic znode", async () => {
    const provider = await startProvider();
    // Its CLI says first where it connects to; the data stands on a line of its own.
    const data = await zookeeper.cli("get", "/UserServiceRpc/Login");
    const [, port] = /^127\.0\.0\.1:(\d+)\0?$/m.exec(data) ?? [];
    expect(port).toBe(String(provider.port));
    const request =
      "190000000a0e557365725365727669636552706312054c6f67696e18130a095a68616e672053616e1206313233343536";
    const reply = await new Promise<Buffer>((resolve, reject) => {
      const chunks: Buffer[] = [];
      const socket = net.connect(Number(port), "127.0.0.1", () => socket.write(Buffer.from(request, "hex")));
      socket.on("data", (chunk) => chunks.push(chunk));
      socket.on("end", () => resolve(Buffer.concat(chunks)));
      socket.on("error", reject);
    });
    const errmsg = Buffer.from(provider.pid);
    const result = Buffer.concat([Buffer.of(0x12, errmsg.length), errmsg]);
    expect(reply).toEqual(Buffer.concat([Buffer.of(0x0a, result.length), result, Buffer.of(0x10, 1)]));
  });

  it("balances two providers, and loses no call when one is stopped", async () => {
    const [first, second] = await Promise.all([startProvider(), startProvider()]);
    const user = await startCaller();
    await answeredBy(user, first, second);
    const calling = keepCalling(user);
    await timed("SIGTERM drains a provider", () => first.child.kill("SIGTERM"));
    await first.child.line(/^drained$/);
    await answeredBy(user, second);
    expect(await calling.stop()).toBeGreaterThan(0);
  });

  it("reaches a provider again that was killed and started at once at the same address", async () => {
    const port = await freePort();
    const first = await startProvider(port);
    const user = await startCaller();
    await answeredBy(user, first);
    await first.child.kill("SIGKILL");
    const second = await startProvider(port);
    await timed("the restarted provider answers", () =>
      eventually("calls succeed again", async () => (await whoAnswers(user)) === second.pid),
    );
    const ours = await eventually("the old entry is gone", async () => {
      const entries = decodeURIComponent(await zookeeper.cli("ls", "/mprpc/fixbug.UserServiceRpc/providers"));
      return entries.split(`127.0.0.1:${port}?`).length === 2 && entries;
    });
    expect(ours).toContain(`127.0.0.1:${port}?`);
    expect(await zookeeper.cli("get", "/UserServiceRpc/Login")).toContain(`127.0.0.1:${port}`);
  });

  it("goes on while ZooKeeper restarts within the session timeout", async () => {
    const provider = await startProvider();
    const user = await startCaller();
    await answeredBy(user, provider);
    const calling = keepCalling(user);
    await zookeeper.kill();
    await zookeeper.start();
    const next = await startProvider();
    await timed("a provider started after the restart is seen", () => answeredBy(user, provider, next));
    expect(await calling.stop()).toBeGreaterThan(0);
  });

  it("keeps calling from the last list while ZooKeeper is away beyond the session, and registers again after", async () => {
    const provider = await startProvider();
    const user = await startCaller();
    await answeredBy(user, provider);
    const calling = keepCalling(user);
    await zookeeper.kill();
    await new Promise((resolve) => setTimeout(resolve, sessionTimeoutMs * 1.5));
    expect(await whoAnswers(user)).toBe(provider.pid);
    await zookeeper.start();
    await timed("registered again", () =>
      eventually("the entry is back", async () => {
        const entries = await zookeeper.cli("ls", "/mprpc/fixbug.UserServiceRpc/providers");
        return decodeURIComponent(entries).includes(`127.0.0.1:${provider.port}?`);
      }),
    );
    await answeredBy(user, provider);
    expect(await calling.stop()).toBeGreaterThan(0);
  });

  it("calls from the snapshot file when it starts while ZooKeeper is away", async () => {
    const provider = await startProvider();
    const before = await startCaller();
    await answeredBy(before, provider);
    await zookeeper.kill();
    const user = await startCaller();
    expect(await whoAnswers(user)).toBe(provider.pid);
  });
});

afterAll(() => expect(closing).toEqual([]));
