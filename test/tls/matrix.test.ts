import net from "node:net";
import tls from "node:tls";
import { beforeAll, describe, expect, test } from "vitest";
import { RpcChannel } from "../../src/client/channel.js";
import { ProbeServiceStub } from "../support/gen/probe.js";
import { eventually } from "../tools/wait.js";
import { Authority, type CertificateWishes, type Issued, selfSigned } from "./authority.js";
import { staticTo } from "./static-to.js";
import { failureOf, openTransport, startTls } from "./support.js";

const name = "users.example";
let ca: Authority;
let stranger: Authority;
let good: Issued;

beforeAll(async () => {
  ca = await Authority.make();
  stranger = await Authority.make("Other Authority");
  good = await ca.issue({ dns: [name] });
});

const provider = ({ cert, key }: Issued) => ({ mode: "required", cert, key }) as const;

describe("a provider's certificate", () => {
  const cases: ReadonlyArray<readonly [string, () => Promise<Issued>, RegExp]> = [
    ["expired", () => ca.issue({ dns: [name], from: -3, to: -1 }), /has expired/],
    ["not yet valid", () => ca.issue({ dns: [name], from: 1, to: 3 }), /not valid yet/],
    [
      "of another authority",
      () => stranger.issue({ dns: [name] }),
      /no authority that is trusted here \(tls.ca\)/,
    ],
    ["signed by itself", () => selfSigned({ dns: [name] }), /signed by itself: .* tls.ca/],
    [
      "with another name",
      () => ca.issue({ dns: ["other.example"] }),
      /dns:other.example, and users.example.*tls.peername/,
    ],
    [
      "with a common name only",
      () => ca.issue({ commonName: name }),
      /no names \(the common name does not count\)/,
    ],
  ];
  test.each(cases)("%s: the call fails and says why, the provider's log too", async (_, issue, expected) => {
    const { stub, providerLog } = await startTls(provider(await issue()), { ca: ca.cert, peerName: name });
    expect(await failureOf(stub.echo({ text: "x" }))).toMatch(expected);
    await eventually("a line in the provider's log", async () =>
      providerLog.at("warn").some((line) => /tls.ca, tls.peername|left before the handshake/.test(line)),
    );
  });

  const spiffe: ReadonlyArray<readonly [string, CertificateWishes, string]> = [
    [
      "of another trust domain",
      { uris: ["spiffe://evil.example/ns/users"] },
      "spiffe://good.example/ns/users",
    ],
    ["of another path", { uris: ["spiffe://good.example/ns/other"] }, "spiffe://good.example/ns/users"],
    [
      "with two SPIFFE IDs",
      { uris: ["spiffe://good.example/ns/users", "spiffe://good.example/ns/admin"] },
      "spiffe://good.example/ns/users",
    ],
    [
      "with an ID and another URI",
      { uris: ["https://good.example/", "spiffe://good.example/ns/users"] },
      "spiffe://good.example/ns/*",
    ],
  ];
  test.each(spiffe)("%s is not who is expected", async (_, wishes, peerName) => {
    const { stub } = await startTls(provider(await ca.issue(wishes)), { ca: ca.cert, peerName });
    expect(await failureOf(stub.echo({ text: "x" }))).toContain(`${peerName} is expected (tls.peername)`);
  });

  test("with the right name, DNS or SPIFFE, is who is expected", async () => {
    const wishes: ReadonlyArray<readonly [CertificateWishes, string]> = [
      [{ dns: ["a.users.example"] }, "*.users.example"],
      [{ dns: ["*.users.example"] }, "a.users.example"],
      [{ uris: ["spiffe://good.example/ns/users"] }, "other.example|spiffe://good.example/ns/*"],
      [{ ips: ["127.0.0.1"] }, "127.0.0.1"],
    ];
    for (const [wish, peerName] of wishes) {
      const { stub } = await startTls(provider(await ca.issue(wish)), { ca: ca.cert, peerName });
      expect((await stub.echo({ text: "x" })).text).toBe("x");
    }
  });

  test("is for the address, where the caller names nobody", async () => {
    const own = await ca.issue({ ips: ["127.0.0.1"] });
    const { stub } = await startTls(provider(own), { ca: ca.cert });
    expect((await stub.echo({ text: "x" })).text).toBe("x");
    const { stub: other } = await startTls(provider(good), { ca: ca.cert });
    expect(await failureOf(other.echo({ text: "x" }))).toContain(
      "the address; set tls.peername to expect another name",
    );
  });

  test("that is revoked is not accepted", async () => {
    const crl = await ca.revoke(good.serial);
    const { stub } = await startTls(provider(good), { ca: ca.cert, crl, peerName: name });
    expect(await failureOf(stub.echo({ text: "x" }))).toContain("revoked (tls.crl)");
    const other = await ca.issue({ dns: [name] });
    const { stub: fine } = await startTls(provider(other), { ca: ca.cert, crl, peerName: name });
    expect((await fine.echo({ text: "x" })).text).toBe("x");
  });
});

describe("a caller's certificate", () => {
  const server = () => ({
    ...provider(good),
    ca: ca.cert,
    clientAuth: "require" as const,
    trustDomain: "good.example",
  });
  const client = (own: Issued | undefined) => ({
    ...{ ca: ca.cert, peerName: name },
    ...(own === undefined ? {} : { cert: own.cert, key: own.key }),
  });

  const cases: ReadonlyArray<readonly [string, () => Promise<Issued | undefined>, RegExp]> = [
    ["none", async () => undefined, /shows no certificate.*tls.cert and tls.key there, tls.clientauth here/],
    ["expired", () => ca.issue({ dns: ["apigw"], from: -3, to: -1 }), /has expired/],
    ["not yet valid", () => ca.issue({ dns: ["apigw"], from: 1, to: 3 }), /not valid yet/],
    ["of another authority", () => stranger.issue({ dns: ["apigw"] }), /no authority that is trusted/],
    ["signed by itself", () => selfSigned({ dns: ["apigw"] }), /signed by itself/],
    [
      "of another trust domain",
      () => ca.issue({ uris: ["spiffe://evil.example/ns/apigw"] }),
      /trust domain is evil.example, and good.example is accepted \(tls.trustdomain\)/,
    ],
    [
      "with two SPIFFE IDs",
      () => ca.issue({ uris: ["spiffe://good.example/a", "spiffe://good.example/b"] }),
      /has one URI.*spiffe:\/\/good.example\/a, spiffe:\/\/good.example\/b/,
    ],
    [
      "of a wildcard",
      () => ca.issue({ dns: ["*.good.example"] }),
      /names nobody: it has dns:\*\.good\.example, and a wildcard stands for many names/,
    ],
    ["with a common name only", () => ca.issue({ commonName: "apigw" }), /no DNS name or SPIFFE ID/],
    ...["spiffe://good.example/../a", "spiffe://good.example/a/.", "spiffe://good.example//a"].map(
      (uri) => [`with the ID ${uri}`, () => ca.issue({ uris: [uri] }), /has one URI/] as const,
    ),
    [
      "with a SPIFFE ID in other letters beside a DNS name",
      () => ca.issue({ uris: ["SPIFFE://good.example/a"], dns: ["apigw.example"] }),
      /has one URI.*SPIFFE:\/\/good.example\/a/,
    ],
    [
      "with DNS names that are none",
      () => ca.issue({ dns: ["evil/.example", "apigw.example.", "a*b.example", "127.0.0.1"] }),
      /no DNS name or SPIFFE ID/,
    ],
  ];
  test.each(cases)("%s: both sides say why, and no handler runs", async (_, issue, expected) => {
    const { stub, providerLog, identities } = await startTls(server(), client(await issue()));
    expect(await failureOf(stub.echo({ text: "x" }))).toMatch(expected);
    // One line for each connection, the caller's only one.
    expect(providerLog.at("warn")).toEqual([expect.stringMatching(expected)]);
    expect(identities).toEqual([]);
  });

  test("none, from a caller that leaves without a word: the log says why", async () => {
    const { provider: refusing, providerLog } = await startTls(server(), {});
    const port = refusing.address?.port as number;
    const socket = tls.connect({ ...{ host: "127.0.0.1", port, ca: ca.cert, servername: name } });
    await new Promise((resolve) => socket.once("secureConnect", resolve));
    socket.end();
    await eventually("a line in the log", async () => providerLog.at("warn").length > 0);
    expect(providerLog.at("warn")).toEqual([
      expect.stringMatching(/^TLS handshake refused: the caller shows no certificate/),
    ]);
  });

  test("gives the caller its identity", async () => {
    const certificates = [
      await ca.issue({ dns: ["apigw.example"], uris: ["spiffe://good.example/ns/apigw"] }),
      await ca.issue({ dns: ["apigw.example"] }),
    ];
    const seen: Array<string | undefined> = [];
    for (const own of certificates) {
      const { stub, identities } = await startTls(server(), client(own));
      await stub.echo({ text: "x" });
      seen.push(...identities);
    }
    expect(seen).toEqual(["spiffe://good.example/ns/apigw", "dns:apigw.example"]);
  });

  test("is not needed where it is only asked for", async () => {
    const { stub, identities } = await startTls({ ...server(), clientAuth: "request" }, client(undefined));
    await stub.echo({ text: "x" });
    expect(identities).toEqual([undefined]);
  });

  test("that is revoked is not accepted", async () => {
    const own = await ca.issue({ dns: ["apigw.example"] });
    const crl = await ca.revoke(own.serial);
    const { stub, identities } = await startTls({ ...server(), crl }, client(own));
    expect(await failureOf(stub.echo({ text: "x" }))).toContain("revoked (tls.crl)");
    expect(identities).toEqual([]);
  });
});

describe("two sides that do not speak alike", () => {
  test("an old version is told from both sides", async () => {
    const { stub, providerLog } = await startTls(
      { ...provider(good), minVersion: "1.3" },
      { ca: ca.cert, peerName: name },
    );
    expect((await stub.echo({ text: "x" })).text).toBe("x");
    const { address } = (await startTls({ ...provider(good), minVersion: "1.3" }, {})).provider;
    const old = tls.connect({
      host: "127.0.0.1",
      port: address?.port as number,
      maxVersion: "TLSv1.2",
      ca: ca.cert,
    });
    const error = await new Promise<NodeJS.ErrnoException>((resolve) => old.once("error", resolve));
    expect(error.code).toContain("PROTOCOL_VERSION");
    expect(providerLog.at("warn")).toEqual([]);
  });

  test("bytes in clear to a port of TLS: the caller is told what to change, and so is the provider's log", async () => {
    const { stub, providerLog } = await startTls(provider(good), {});
    expect(await failureOf(stub.echo({ text: "x" }))).toMatch(
      /this port speaks TLS only.*tls.ca or auth.secrets/,
    );
    expect(providerLog.at("warn").join("\n")).toContain("this port speaks TLS only");
  });

  test("TLS to a port in clear: the caller is told what to change, and so is the provider's log", async () => {
    const {
      provider: plain,
      providerLog,
      cluster,
      callerTransport,
    } = await startTls({}, { ca: ca.cert, peerName: name });
    const channel = new RpcChannel(cluster.runtime({ transport: callerTransport }), {
      registry: staticTo(plain.address),
    });
    cluster.onClose(() => channel.close());
    expect(await failureOf(new ProbeServiceStub(channel).echo({ text: "x" }))).toMatch(
      /perhaps it speaks no TLS \(its tls.mode\)/,
    );
    expect(providerLog.at("warn").join("\n")).toMatch(/\(TLS\).*tls.mode=optional/);
  });

  test("optional: bytes in clear and TLS on one port", async () => {
    const {
      stub,
      cluster,
      provider: both,
      identities,
    } = await startTls({ ...provider(good), mode: "optional" }, { ca: ca.cert, peerName: name });
    expect((await stub.echo({ text: "tls" })).text).toBe("tls");
    const clear = new RpcChannel(cluster.runtime({ transport: openTransport({}) }));
    cluster.onClose(() => clear.close());
    expect((await new ProbeServiceStub(clear).echo({ text: "clear" })).text).toBe("clear");
    expect(both.connections).toBe(2);
    expect(identities).toEqual([undefined, undefined]);
  });

  test("HTTP to a port of TLS is refused, and says why", async () => {
    const { provider: server, providerLog } = await startTls(provider(good), {});
    const socket = net.connect({ host: "127.0.0.1", port: server.address?.port as number });
    socket.on("error", () => {});
    let answer = "";
    socket.on("data", (chunk) => {
      answer += chunk;
    });
    socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    await new Promise((resolve) => socket.once("close", resolve));
    expect(answer).toMatch(/^HTTP\/1\.1 400 .*TLS/s);
    expect(providerLog.at("warn").join("\n")).toContain("TLS");
  });
});
