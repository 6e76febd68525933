import { beforeAll, describe, expect, test } from "vitest";
import { type Address, formatAddress } from "../../src/base/address.js";
import { RpcChannel } from "../../src/client/channel.js";
import { RpcProvider } from "../../src/server/provider.js";
import { FixedRegistry } from "../support/fixed-registry.js";
import { ProbeService, ProbeServiceStub } from "../support/gen/probe.js";
import { Authority, type Issued } from "./authority.js";
import { failureOf, openTransport, startTls } from "./support.js";

const name = "spiffe://good.example/ns/users";
let ca: Authority;
let users: Issued;
let other: Issued;

beforeAll(async () => {
  ca = await Authority.make();
  users = await ca.issue({ uris: [name] });
  other = await ca.issue({ uris: ["spiffe://good.example/ns/other"], ips: ["127.0.0.1"] });
});

/** A channel that expects the users' provider and is told of `address` by its registry. */
async function toldOf(
  address: Address,
  attributes: Record<string, string>,
  peerName = name,
): Promise<ProbeServiceStub> {
  const { cluster, callerTransport } = await startTls({}, { ca: ca.cert, peerName });
  const endpoint = { ...address, protocol: "mprpc" as const, weight: 1, attributes };
  const channel = new RpcChannel(cluster.runtime({ transport: callerTransport }), {
    registry: new FixedRegistry([endpoint]),
  });
  cluster.onClose(() => channel.close());
  return new ProbeServiceStub(channel);
}

const secured = { tls: "required" };

describe("a registry that lies can deny, and not impersonate", () => {
  test("the address of a stranger", async () => {
    const stranger = await Authority.make("Stranger");
    const { provider, identities } = await startTls(
      { mode: "required", ...(await stranger.issue({ uris: [name] })) },
      {},
    );
    const stub = await toldOf(provider.address as Address, secured);
    expect(await failureOf(stub.echo({ text: "x" }))).toContain("no authority that is trusted here (tls.ca)");
    expect(identities).toEqual([]);
  });

  test("a stolen node's certificate, with its own name", async () => {
    const { provider, identities } = await startTls({ mode: "required", ...other }, {});
    const stub = await toldOf(provider.address as Address, {
      ...secured,
      tlsname: "spiffe://good.example/ns/other",
    });
    expect(await failureOf(stub.echo({ text: "x" }))).toContain(`${name} is expected (tls.peername)`);
    expect(identities).toEqual([]);
  });

  test("the attribute of TLS taken out", async () => {
    const { provider, identities } = await startTls({ mode: "optional", ...users }, {});
    const stub = await toldOf(provider.address as Address, {});
    const where = formatAddress(provider.address as Address);
    expect(await failureOf(stub.echo({ text: "x" }))).toContain(
      `endpoints without TLS are not called, because tls.ca or auth.secrets is set: ${where}`,
    );
    expect(identities).toEqual([]);
    expect(provider.connections).toBe(0);
  });

  test("the address of a provider in clear that is said to speak TLS", async () => {
    const { provider, identities } = await startTls({}, {});
    const stub = await toldOf(provider.address as Address, secured);
    expect(await failureOf(stub.echo({ text: "x" }))).toContain("perhaps it speaks no TLS");
    expect(identities).toEqual([]);
  });
});

describe("what a registry says of names", () => {
  test("narrows what the caller expects", async () => {
    const { provider } = await startTls({ mode: "required", ...users }, {});
    const pattern = "spiffe://good.example/ns/*";
    const right = await toldOf(provider.address as Address, { ...secured, tlsname: name }, pattern);
    expect((await right.echo({ text: "x" })).text).toBe("x");
    const wrong = await toldOf(
      provider.address as Address,
      { ...secured, tlsname: "elsewhere.example" },
      pattern,
    );
    expect(await failureOf(wrong.echo({ text: "x" }))).toContain("the registry says elsewhere.example");
  });

  test("providers publish that they speak TLS", async () => {
    const { cluster } = await startTls({ mode: "required", ...users }, {});
    const runtime = cluster.runtime();
    const [listing] = await runtime.registry.list();
    expect(listing?.endpoints[0]?.attributes).toEqual({ tls: "required" });
  });
});

describe("options of one channel and one provider", () => {
  test("secure them over what the application says", async () => {
    const { cluster } = await startTls({}, {});
    const app = cluster.runtime({ transport: openTransport({}) });
    const provider = new RpcProvider(app, { tls: { mode: "required", cert: users.cert, key: users.key } });
    provider.notifyService(ProbeService, { echo: (x) => x, relay: (x) => x, note: (x) => x });
    cluster.onClose(() => provider.shutdown());
    const { host, port } = await provider.start();
    const registry = new FixedRegistry([{ host, port, protocol: "mprpc", weight: 1, attributes: secured }]);
    const channel = new RpcChannel(app, {
      registry,
      tls: { ca: ca.cert, peerNames: { ProbeService: name } },
    });
    cluster.onClose(() => channel.close());
    expect((await new ProbeServiceStub(channel).echo({ text: "x" })).text).toBe("x");
  });

  test("are checked, and refused where there is no TLS", async () => {
    const { cluster } = await startTls({}, {});
    const app = cluster.runtime({ transport: openTransport({}) });
    const wrong = (tls: object) => () => new RpcChannel(app, { tls });
    expect(wrong({ mode: "on" })).toThrow(/RpcChannel: tls.*mode/);
    expect(wrong({ peerName: "not a name" })).toThrow(/peerName.*spiffe/);
    expect(wrong({ certt: "x" })).toThrow(/certt/);
    const memory = cluster.runtime({ transport: cluster.network });
    expect(() => new RpcChannel(memory, { tls: { ca: ca.cert } })).toThrow(
      /RpcChannel: option "tls".*no TLS/,
    );
  });
});
