import { beforeAll, describe, expect, test } from "vitest";
import { RpcChannel } from "../../src/client/channel.js";
import { MprpcApplication } from "../../src/node/application.js";
import { RpcProvider } from "../../src/server/provider.js";
import type { TlsOptions } from "../../src/transport/tls/options.js";
import { mprpc as run } from "../cli/mprpc.js";
import { ProbeServiceStub } from "../support/gen/probe.js";
import { RecordingLog } from "../support/log.js";
import { Authority, type Issued, writeSecret } from "./authority.js";
import { staticTo } from "./static-to.js";
import { openTransport, startTls, temporaryFolder } from "./support.js";

const name = "users.example";
let ca: Authority;
let good: Pick<Issued, "cert" | "key">;

beforeAll(async () => {
  ca = await Authority.make();
  const { cert, key } = await ca.issue({ dns: [name] });
  good = { cert, key };
});

const open = (argv: string[], tls?: TlsOptions, log = new RecordingLog()) =>
  MprpcApplication.init(["node", "test", ...argv], {
    ...{ cwd: temporaryFolder(), env: {}, log, tls, registry: staticTo({ host: "127.0.0.1", port: 1 }) },
  });

describe("a name to expect, and nothing that asks for it", () => {
  const idle = /peername.*no effect without tls.ca, auth.secrets or tls.mode=required/;

  test("is refused in the options of an application and a channel", async () => {
    await expect(open([], { peerName: name })).rejects.toThrow(idle);
    await expect(open([], { peerNames: { ProbeService: name } })).rejects.toThrow(idle);
    await using app = await open([]);
    for (const tls of [{ peerName: name }, { peerNames: { ProbeService: name } }]) {
      expect(() => new RpcChannel(app, { tls })).toThrow(TypeError);
      expect(() => new RpcChannel(app, { tls })).toThrow(idle);
      expect(() => new RpcChannel(app, { tls: { ...tls, ...good, mode: "optional" } })).toThrow(idle);
      await new RpcChannel(app, { tls: { ...tls, ca: ca.cert } }).close();
    }
  });

  test("may stand in a conf whose provider listens in clear", async () => {
    await using app = await open([`--tls.peername=${name}`, "--tls.mode=required"], good);
    expect(() => new RpcProvider(app, { tls: { mode: "off" } })).not.toThrow();
  });

  test("is refused on the command line", async () => {
    const { provider } = await startTls({}, {});
    const { host, port } = provider.address as { host: string; port: number };
    const { code, err } = await run(["health", `${host}:${port}`, "--peername", name]);
    expect(code).not.toBe(0);
    expect(err).toMatch(/--tls.peername: expected tls.ca, auth.secrets or tls.mode=required with it/);
  });
});

describe("a provider that sounds secured and would listen in clear", () => {
  const listening = (tls: TlsOptions) => startTls(tls, {}).then(({ provider }) => provider.address);
  const secrets = "web:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n";

  test.each([
    ["a certificate", () => good, "tls.mode is not set beside tls.cert: required"],
    ["secrets", () => ({ secrets }), "tls.mode is not set beside auth.secrets: required"],
    ["both", () => ({ ...good, secrets }), "tls.mode is not set beside tls.cert and auth.secrets: required"],
    ["revocation lists", () => ({ crl: "/nowhere" }), "tls.mode is not set beside tls.crl: required"],
    [
      "asking callers for certificates",
      () => ({ clientAuth: "require" }),
      "tls.clientauth=require has no effect",
    ],
    [
      "the same, in clear",
      () => ({ clientAuth: "request", mode: "off" }),
      "tls.clientauth=request has no effect",
    ],
    ["certificates of anybody", () => ({ ...good, mode: "required", clientAuth: "require" }), "needs tls.ca"],
  ] as const)("%s: refused at its start", async (_what, options, text) => {
    await expect(listening(options() as TlsOptions)).rejects.toThrow(text);
  });

  test("listens so when it is said", async () => {
    expect(await listening({ ...good, ca: ca.cert, secrets, mode: "off" })).toBeDefined();
  });

  test("of one that takes both, callers in clear need no certificate, which is told", async () => {
    const { providerLog } = await startTls(
      { ...good, ca: ca.cert, mode: "optional", clientAuth: "require" },
      {},
    );
    expect(providerLog.at("warn")).toEqual([expect.stringMatching(/^callers in clear are served too/)]);
  });

  test("a conf whose secret is in no file is refused", async () => {
    await expect(open(["--auth.secret=web"])).rejects.toThrow(/auth.secret: expected auth.secrets with it/);
    await using app = await open([]);
    expect(() => new RpcChannel(app, { tls: { secret: "web" } })).toThrow(
      /^auth.secret \(secret\) has no effect/,
    );
  });

  test("its log says how it listens", async () => {
    const { providerLog } = await startTls({ ...good, mode: "required" }, { ca: ca.cert, peerName: name });
    const line = providerLog.lines.find(({ text }) => text.startsWith("listening on"));
    expect(line?.fields).toMatchObject({ tls: "required" });
  });
});

describe("a certificate that nobody is shown", () => {
  test("is refused in the options of a provider and a channel", async () => {
    await using app = await open([]);
    const idle = /^tls.cert and tls.key have no effect without/;
    expect(() => new RpcChannel(app, { tls: good })).toThrow(idle);
    expect(() => new RpcProvider(app, { tls: good })).toThrow(idle);
    expect(() => new RpcProvider(app, { tls: { ...good, mode: "optional" } })).not.toThrow();
  });

  test("in a conf is a warning when a channel connects in clear, once", async () => {
    const folder = temporaryFolder();
    const flags = (["cert", "key"] as const).map(
      (one) => `--tls.${one}=${writeSecret(folder, one, good[one])}`,
    );
    const { provider } = await startTls({ ...good, mode: "optional" }, {});
    for (const [more, keys] of [
      [[], "tls.cert"],
      [["--tls.mode=optional"], "tls.cert and tls.mode=optional"],
    ] as const) {
      const log = new RecordingLog();
      await using app = await open([...flags, ...more, "--channel.local=off"], undefined, log);
      const options = { registry: staticTo(provider.address) };
      await using channel = new RpcChannel(app, options);
      await using second = new RpcChannel(app, options);
      expect(log.at("warn")).toEqual([]);
      for (const one of [channel, second]) await new ProbeServiceStub(one).echo({ text: "in clear" });
      expect(log.at("warn")).toEqual([
        expect.stringContaining(`calls go in clear: ${keys} alone secures no`),
      ]);
    }
  });

  test("is no warning where channels are secured", async () => {
    const log = new RecordingLog();
    const { provider } = await startTls({ ...good, mode: "optional" }, {});
    const { cluster } = await startTls({}, {});
    const transport = openTransport({ ...good, ca: ca.cert, peerName: name }, log);
    const channel = new RpcChannel(cluster.runtime({ transport }), { registry: staticTo(provider.address) });
    cluster.onClose(() => channel.close());
    await new ProbeServiceStub(channel).echo({ text: "x" });
    expect(log.at("warn")).toEqual([]);
  });
});
