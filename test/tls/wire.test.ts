import { spawn } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { buffer } from "node:stream/consumers";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { RpcChannel } from "../../src/client/channel.js";
import { MprpcApplication } from "../../src/node/application.js";
import { mprpcProcess, mprpc as run } from "../cli/mprpc.js";
import { ProbeServiceStub } from "../support/gen/probe.js";
import { RecordingLog } from "../support/log.js";
import { Authority, type Issued, writeSecret } from "./authority.js";
import { staticTo } from "./static-to.js";
import { failureOf, openTransport, startTls, temporaryFolder } from "./support.js";

const name = "users.example";
let ca: Authority;
let good: Issued;

beforeAll(async () => {
  ca = await Authority.make();
  good = await ca.issue({ dns: [name] });
});

const server = () => ({ mode: "required", cert: good.cert, key: good.key }) as const;
const client = () => ({ ca: ca.cert, peerName: name });

/** A port in front of another, which passes on what `change` makes of it. Returns its address. */
async function proxyTo(
  port: number,
  forward: (from: net.Socket, to: net.Socket) => void,
): Promise<net.AddressInfo> {
  const proxy = net.createServer((caller) => {
    const provider = net.connect({ host: "127.0.0.1", port });
    for (const socket of [caller, provider]) socket.on("error", () => {}).setNoDelay(true);
    caller.once("close", () => provider.destroy());
    provider.once("close", () => caller.destroy());
    forward(caller, provider);
    forward(provider, caller);
    onTestFinished(() => {
      caller.destroy();
      provider.destroy();
    });
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  onTestFinished(() => void proxy.close());
  return proxy.address() as net.AddressInfo;
}

const hostAt = ({ port }: net.AddressInfo) => ({ host: "127.0.0.1", port });

describe("bytes on their way", () => {
  test.each(["certificates", "secrets beside certificates"])(
    "come one by one, handshake and all (%s)",
    async (kind) => {
      const secrets = `apigw:${"ab".repeat(32)}\n`;
      const bySecret = kind !== "certificates";
      const { provider, cluster, callerTransport } = await startTls(
        bySecret ? { ...server(), secrets } : server(),
        bySecret ? { secrets } : client(),
      );
      const address = await proxyTo(provider.address?.port as number, (from, to) => {
        from.on("data", (bytes) => {
          for (const byte of bytes) to.write(Buffer.from([byte]));
        });
      });
      const channel = new RpcChannel(cluster.runtime({ transport: callerTransport }), {
        registry: staticTo(hostAt(address)),
      });
      cluster.onClose(() => channel.close());
      expect((await new ProbeServiceStub(channel).echo({ text: "slowly" })).text).toBe("slowly");
    },
  );

  test("that end without TLS saying so lose the call, and nothing is taken for its end", async () => {
    const { provider, cluster, callerTransport } = await startTls(server(), client());
    let provided = 0;
    const address = await proxyTo(provider.address?.port as number, (from, to) => {
      from.on("data", (bytes) => {
        const isProvider = from.remotePort === provider.address?.port;
        if (isProvider) provided += bytes.length;
        // In the middle of the large reply.
        if (isProvider && provided > 40_000) to.end();
        else to.write(bytes);
      });
    });
    const channel = new RpcChannel(cluster.runtime({ transport: callerTransport }), {
      registry: staticTo(hostAt(address)),
    });
    cluster.onClose(() => channel.close());
    const call = new ProbeServiceStub(channel).echo({ data: Buffer.alloc(500_000, 1) });
    expect(await failureOf(call)).toMatch(/\[unavailable\].*(connection lost|closed)/);
  });
});

describe("calls over TLS", () => {
  test("of every size arrive whole, many at a time", async () => {
    const { stub } = await startTls(server(), client());
    const sizes = [0, 1, 1000, 16_383, 16_384, 16_385, 70_000, 130_000, 1_000_000, 3_000_000];
    const replies = await Promise.all(
      sizes.flatMap((size) =>
        Array.from({ length: 4 }, (_, at) => stub.echo({ data: Buffer.alloc(size, at + 1), number: at })),
      ),
    );
    expect(replies.map(({ data }) => data.length)).toEqual(sizes.flatMap((size) => Array(4).fill(size)));
    for (const { data, number } of replies) expect(data.every((byte) => byte === number + 1)).toBe(true);
  });

  test("in flight are answered while the provider drains", async () => {
    let entered = (): void => {};
    const inHandler = new Promise<void>((resolve) => {
      entered = resolve;
    });
    let release = (): void => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { stub, provider } = await startTls(server(), client(), {
      settings: { provider: { drainTimeoutMs: 20_000 } },
      handlers: {
        relay: async (request) => {
          entered();
          await held;
          return request;
        },
      },
    });
    const call = stub.relay({ text: "in flight" });
    await inHandler;
    const ended = provider.shutdown();
    release();
    expect((await call).text).toBe("in flight");
    await ended;
    expect(provider.connections).toBe(0);
  });

  test("from classic providers go by TLS as well", async () => {
    const { provider, cluster, identities } = await startTls({ ...server() }, {});
    const { host, port } = provider.address as { host: string; port: number };
    const { StaticRegistry } = await import("../../src/registry/static.js");
    const registry = new StaticRegistry(`static://${host}:${port}?protocol=classic&dialect=le32`);
    const channel = new RpcChannel(cluster.runtime({ transport: openTransport(client()) }), {
      registry,
      classic: true,
    });
    cluster.onClose(() => channel.close());
    expect((await new ProbeServiceStub(channel).echo({ text: "classic" })).text).toBe("classic");
    expect(identities.length).toBe(1);
  });
});

describe("OpenSSL at the other end", () => {
  /** What `openssl s_client` says when it connects and leaves. */
  async function sClient(port: number, ...args: string[]): Promise<string> {
    const child = spawn("openssl", ["s_client", "-connect", `127.0.0.1:${port}`, ...args], {
      stdio: ["pipe", "pipe", "pipe"],
    });
    child.stdin.end();
    const [out, err] = await Promise.all([buffer(child.stdout), buffer(child.stderr)]);
    return `${out}${err}`;
  }

  test("agrees on mprpc/2, and on nothing that is not answered", async () => {
    const { provider } = await startTls(server(), client());
    const port = provider.address?.port as number;
    expect(await sClient(port, "-alpn", "foo,mprpc/2")).toContain("ALPN protocol: mprpc/2");
    expect(await sClient(port, "-alpn", "foo")).toMatch(/no application protocol/i);
    expect(await sClient(port, "-tls1_2")).toContain("TLSv1.2");
    expect(await sClient(port, "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0")).toMatch(/alert|error/i);
  });

  test("proves a secret", async () => {
    const key = "ab".repeat(32);
    const { provider } = await startTls({ mode: "required", secrets: `apigw:${key}\n` }, client());
    const port = provider.address?.port as number;
    const psk = ["-psk_identity", "apigw", "-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"];
    expect(await sClient(port, ...psk, "-psk", key)).toMatch(/Reused, TLSv1.3/);
    expect(await sClient(port, ...psk, "-psk", "cd".repeat(32))).toMatch(/alert/i);
  });
});

describe("a configuration", () => {
  test("names files, and a name for one service", async () => {
    const folder = temporaryFolder();
    const files = { ca: ca.cert, cert: good.cert, key: good.key };
    for (const [file, text] of Object.entries(files)) writeSecret(folder, file, text);
    writeSecret(
      folder,
      "mprpc.conf",
      `[tls]\nca=${folder}/ca\npeername=other.example\n[service.ProbeService]\ntls.peername=${name}\n`,
    );
    const { provider } = await startTls(server(), {});
    await using app = await MprpcApplication.init(["node", "test"], {
      ...{ cwd: folder, env: {}, log: new RecordingLog(), registry: staticTo(provider.address) },
    });
    expect(app.config.services).toEqual({ ProbeService: { "tls.peername": name } });
    await using channel = new RpcChannel(app);
    expect((await new ProbeServiceStub(channel).echo({ text: "x" })).text).toBe("x");
    await using other = await MprpcApplication.init(
      ["node", "test", "--service.ProbeService.tls.peername=third.example"],
      {
        ...{ cwd: folder, env: {}, log: new RecordingLog(), registry: staticTo(provider.address) },
      },
    );
    await using wrong = new RpcChannel(other);
    expect(await failureOf(new ProbeServiceStub(wrong).echo({ text: "x" }))).toContain(
      "third.example is expected",
    );
  });

  test("that names files which cannot be used is refused at the start", async () => {
    const start = (...flags: string[]) =>
      MprpcApplication.init(["node", "test", ...flags], {
        cwd: temporaryFolder(),
        env: {},
        log: new RecordingLog(),
      });
    await expect(start("--tls.ca=missing")).rejects.toThrow(/tls.ca: cannot read \/.*\/missing: ENOENT/);
    await expect(start("--tls.passphrase=secret")).rejects.toThrow(/file: and the name of the file/);
    await expect(start("--tls.peername=a b")).rejects.toThrow(/spiffe/);
  });
});

describe("mprpc on the command line", () => {
  test("speaks TLS, by certificates and by a secret", async () => {
    const folder = temporaryFolder();
    const cafile = writeSecret(folder, "ca", ca.cert);
    const line = (await run(["secret", "apigw"])).out;
    expect(line).toMatch(/^apigw:[\w-]{43}\n$/);
    const secrets = writeSecret(folder, "secrets", line);
    const { provider } = await startTls({ ...server(), secrets }, client());
    const { host, port } = provider.address as { host: string; port: number };
    const where = `${host}:${port}`;
    expect((await run(["health", where, "--ca", cafile, "--peername", name])).out).toBe("SERVING\n");
    expect((await run(["health", where, "--secrets", secrets, "--secret", "apigw"])).out).toBe("SERVING\n");
    const listed = await run(["list", where, "--ca", cafile, "--peername", name]);
    expect(listed.out).toContain("ProbeService");
    const clear = await run(["health", where]);
    expect([clear.code, clear.err]).toEqual([1, expect.stringContaining("this port speaks TLS only")]);
    const wrong = await run(["health", where, "--ca", cafile, "--peername", "other.example"]);
    expect(wrong.err).toContain("other.example is expected");
    const call = await run([
      "call",
      where,
      "probe.ProbeService",
      "Echo",
      '{"text":"x"}',
      "--ca",
      cafile,
      "--peername",
      name,
    ]);
    expect(JSON.parse(call.out)).toMatchObject({ text: "x" });
    expect((await run(["secret", "bad name"])).code).toBe(2);
  });

  test("waits for the handshake, though nothing else keeps its process", async () => {
    const cafile = writeSecret(temporaryFolder(), "ca", ca.cert);
    const { provider } = await startTls(server(), client());
    const { host, port } = provider.address as { host: string; port: number };
    const health = (peerName: string) =>
      mprpcProcess(["health", `${host}:${port}`, "--ca", cafile, "--peername", peerName]);
    expect(await health(name)).toEqual({ code: 0, out: "SERVING\n", err: "" });
    const wrong = await health("other.example");
    expect(wrong.code).toBe(1);
    expect(wrong.err).toContain("other.example is expected");
  });
});
