import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { systemClock } from "../../src/base/clock.js";
import { RpcChannel } from "../../src/client/channel.js";
import { MprpcApplication } from "../../src/node/application.js";
import { RpcProvider } from "../../src/server/provider.js";
import {
  createRuntime,
  LocalProviders,
  MemoryStore,
  memoryRegistry,
  type SettingsInit,
} from "../../src/testing/index.js";
import { schemeTransport } from "../../src/transport/schemes.js";
import { tcpTransport } from "../../src/transport/tcp.js";
import { unixTransport } from "../../src/transport/unix.js";
import { mprpc } from "../cli/mprpc.js";
import { ProbeService, ProbeServiceStub } from "../support/gen/probe.js";
import { RecordingLog } from "../support/log.js";

let folder = "";

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "mprpc-u-"));
  return () => rmSync(folder, { recursive: true, force: true });
});

const transport = unixTransport(systemClock);

async function listen(name: string) {
  const listener = await transport.listen({ host: `unix:${name}`, port: 0 }, (connection) =>
    connection.destroy(),
  );
  onTestFinished(() => listener.close());
  return listener;
}

/** Makes it another user's, for this process. */
function giveAway(socket: string): void {
  if (process.getuid?.() === 0) chownSync(socket, 65534, 65534);
  else vi.spyOn(process, "getuid").mockReturnValue(statSync(socket).uid + 1);
  onTestFinished(() => void vi.restoreAllMocks());
}

/** A process that listened there and was killed. */
async function leaveStale(socket: string): Promise<void> {
  const code = `require("net").createServer().listen(${JSON.stringify(socket)}, () => console.log("ready"))`;
  const child = spawn(process.execPath, ["-e", code], { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  child.kill("SIGKILL");
  await once(child, "exit");
}

describe("listening on a path", () => {
  test("makes a folder that only this user may enter, and takes the socket away at the end", async () => {
    const socket = path.join(folder, "run", "a.sock");
    const listener = await listen(socket);
    expect(statSync(path.dirname(socket)).mode & 0o777).toBe(0o700);
    expect(statSync(socket).isSocket()).toBe(true);
    await listener.close();
    await expect.poll(() => existsSync(socket)).toBe(false);
  });

  test("takes over the socket of a process that died", async () => {
    const socket = path.join(folder, "a.sock");
    await leaveStale(socket);
    expect(existsSync(socket)).toBe(true);
    await listen(socket);
    const connection = await transport.connect({ host: `unix:${socket}`, port: 0 }, { timeoutMs: 5000 });
    connection.destroy();
  });

  test("of several that want the socket of a dead process, one gets it", async () => {
    const socket = path.join(folder, "a.sock");
    await leaveStale(socket);
    const outcomes = await Promise.allSettled([1, 2, 3].map(() => listen(socket)));
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    const connection = await transport.connect({ host: `unix:${socket}`, port: 0 }, { timeoutMs: 5000 });
    connection.destroy();
  });

  test("leaves the socket of a living process alone", async () => {
    const socket = path.join(folder, "a.sock");
    await listen(socket);
    await expect(listen(socket)).rejects.toThrow(
      `cannot listen on unix:${socket}: another process listens there: stop it, or choose another path`,
    );
  });

  test("refuses a path where another file is", async () => {
    const socket = path.join(folder, "a.sock");
    writeFileSync(socket, "precious");
    await expect(listen(socket)).rejects.toThrow("a file that is no socket is there");
    expect(existsSync(socket)).toBe(true);
  });

  test.each([0o755, 0o770, 0o701, 0o1777])("refuses a folder of mode %o", async (mode) => {
    const open = path.join(folder, "open");
    mkdirSync(open);
    chmodSync(open, mode);
    await expect(listen(path.join(open, "a.sock"))).rejects.toThrow("is open to other users");
  });

  test("names the longest path there is", async () => {
    const long = path.join(folder, "x".repeat(120));
    await expect(listen(long)).rejects.toThrow(/its path has \d+ bytes, the system takes 10[37]/);
    const connecting = transport.connect({ host: `unix:${long}`, port: 0 }, { timeoutMs: 1000 });
    await expect(connecting).rejects.toThrow(/cannot connect to unix:.*its path has/);
  });

  test("connecting to a socket of another user is refused where a registry may have named it", async () => {
    const socket = path.join(folder, "a.sock");
    await listen(socket);
    giveAway(socket);
    const address = { host: `unix:${socket}`, port: 0 };
    await expect(transport.connect(address, { timeoutMs: 5000, ownSocket: true })).rejects.toThrow(
      /^cannot connect to unix:\S+: the socket is another user's \(uid \d+\), and others may write to/,
    );
    (await transport.connect(address, { timeoutMs: 5000 })).destroy();
  });

  test("connecting to nobody says so", async () => {
    const nobody = { host: `unix:${path.join(folder, "none")}`, port: 0 };
    await expect(transport.connect(nobody, { timeoutMs: 1000 })).rejects.toThrow("ENOENT");
  });
});

describe("a provider on a unix socket", () => {
  async function start(providerFlags: readonly string[], callerFlags: readonly string[] = []) {
    const store = new MemoryStore();
    const log = new RecordingLog();
    const init = (more: readonly string[]) =>
      MprpcApplication.init(["node", "x", ...more], { env: {}, log, registry: memoryRegistry({ store }) });
    const app = await init(providerFlags);
    const provider = new RpcProvider(app).notifyService(ProbeService, {
      echo: (_, { peer }) => ({ text: `${peer.identities.transport ?? "nobody"}` }),
      relay: (request) => request,
      note: (request) => request,
    });
    await provider.start();
    const caller = await init(callerFlags);
    const channel = new RpcChannel(caller);
    onTestFinished(async () => {
      await channel.close();
      await provider.shutdown();
      await Promise.all([app.close(), caller.close()]);
    });
    return { provider, stub: new ProbeServiceStub(channel), caller, app };
  }

  test("alone: rpcserverip=unix:/path is in the registry, and callers are known by it", async () => {
    const socket = path.join(folder, "a.sock");
    const { stub, provider } = await start([`--rpcserverip=unix:${socket}`]);
    expect(provider.address).toEqual({ host: `unix:${socket}`, port: 0 });
    expect((await stub.echo({})).text).toBe(`unix:${socket}`);
  });

  test("the command line calls it", async () => {
    const socket = path.join(folder, "a.sock");
    await start([`--rpcserverip=unix:${socket}`]);
    const { code, out } = await mprpc(["call", `unix:${socket}`, "probe.ProbeService.Echo", "{}"]);
    expect([code, JSON.parse(out)]).toEqual([0, expect.objectContaining({ text: `unix:${socket}` })]);
  });

  /** As two processes: what each has of its own process the other does not see. */
  async function beside(flags: { local?: "auto" | "off" } = {}) {
    const store = new MemoryStore();
    const ways = schemeTransport({ tcp: tcpTransport(systemClock), unix: transport });
    const unix = path.join(folder, "beside.sock");
    const runtime = (settings: SettingsInit) =>
      createRuntime({
        transport: ways,
        registry: memoryRegistry({ store }),
        local: new LocalProviders(),
        log: new RecordingLog(),
        settings,
      });
    const app = runtime({ provider: { unix, drainTimeoutMs: 1000 } });
    const provider = new RpcProvider(app).notifyService(ProbeService, {
      echo: (_, { peer }) => ({ text: peer.address }),
      relay: (request) => request,
      note: (request) => request,
    });
    await provider.start();
    const caller = runtime({ channel: flags });
    const channel = new RpcChannel(caller);
    onTestFinished(async () => {
      await channel.close();
      await provider.shutdown();
      await Promise.all([app.close(), caller.close()]);
    });
    return { unix, provider, stub: new ProbeServiceStub(channel), caller, store };
  }

  test("that is another user's: a registry cannot have it called, a list of one's own can", async () => {
    const socket = path.join(folder, "a.sock");
    const { stub } = await start([`--rpcserverip=unix:${socket}`]);
    giveAway(socket);
    await expect(stub.echo({ text: "x" }, { timeoutMs: 5000 })).rejects.toThrow(
      "the socket is another user's",
    );
    const app = await MprpcApplication.init(["node", "x", `--registry=static://unix:${socket}`], { env: {} });
    const channel = new RpcChannel(app);
    expect((await new ProbeServiceStub(channel).echo({})).text).toBe(`unix:${socket}`);
    await channel.close();
    await app.close();
  });

  test("beside a port: callers of this machine take it, and the provider stays one endpoint", async () => {
    const { unix, provider, stub, caller } = await beside();
    expect((await stub.echo({})).text).toBe(`unix:${unix}`);
    const [listed] = await caller.registry.list();
    expect(listed?.endpoints.map(({ port }) => port)).toEqual([provider.address?.port]);
    expect(provider.connections).toBe(1);
  });

  test("beside a port, and gone: calls go over TCP", async () => {
    const { unix, stub } = await beside();
    rmSync(unix);
    expect((await stub.echo({})).text).toMatch(/^127\.0\.0\.1:\d+$/);
  });

  test("beside a port, with channel.local=off: calls go over TCP", async () => {
    const { stub } = await beside({ local: "off" });
    expect((await stub.echo({})).text).toMatch(/^127\.0\.0\.1:\d+$/);
  });
});
