import { once } from "node:events";
import https from "node:https";
import type { AddressInfo } from "node:net";
import tls from "node:tls";
import { beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { systemClock } from "../../src/base/clock.js";
import { ConsulHttp } from "../../src/registry/consul/http.js";
import { type DerValue, derChildren, pemBlocks, readDer } from "../../src/transport/tls/der.js";
import { loadMaterial } from "../../src/transport/tls/material.js";
import { type CertifiedConnection, whyDistrusted } from "../../src/transport/tls/trust.js";
import { eventually } from "../tools/wait.js";
import { Authority, type Issued, writeSecret } from "./authority.js";
import { failureOf, startTls, temporaryFolder } from "./support.js";

const name = "users.example";
let ca: Authority;
let server: Issued;

beforeAll(async () => {
  ca = await Authority.make();
  server = await ca.issue({ dns: [name] });
});

/** The same certificate with an outer part of indefinite length, as BER allows: OpenSSL reads it, and DER has none. */
function indefinite(pem: string): string {
  const [der] = pemBlocks(pem, "CERTIFICATE") as [Buffer];
  const [tbs, ...rest] = derChildren(readDer(der).content) as [DerValue, ...DerValue[]];
  const ends = [Buffer.from([0x30, 0x80]), tbs.content, Buffer.from([0, 0])];
  const body = Buffer.concat([...ends, ...rest.map(({ whole }) => whole)]);
  const head = Buffer.from([0x30, 0x82, body.length >> 8, body.length & 0xff]);
  const base64 = Buffer.concat([head, body]).toString("base64").replace(/.{64}/g, "$&\n");
  return `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`;
}

/** A caller of its own making, whose handshake is done. */
async function openTls(port: number, options: tls.ConnectionOptions): Promise<tls.TLSSocket> {
  const socket = tls.connect({ host: "127.0.0.1", port, ca: ca.cert, servername: name, ...options });
  socket.on("error", () => {});
  onTestFinished(() => void socket.destroy());
  await once(socket, "secureConnect");
  return socket;
}

describe("a certificate that cannot be read", () => {
  test("is not trusted", async () => {
    const [certificate] = pemBlocks(indefinite(server.cert), "CERTIFICATE");
    const connection = { socket: undefined, certificate } as unknown as CertifiedConnection;
    const material = loadMaterial({ ca: ca.cert }, systemClock.wallNow());
    expect(whyDistrusted(connection, material, systemClock.wallNow())).toBe(
      "the certificate cannot be read: not DER at byte 0",
    );
  });

  test("harms nobody when the provider's files change while its connection is open", async () => {
    const folder = temporaryFolder();
    const files = (one: Issued) => ({
      key: writeSecret(folder, "key", one.key),
      cert: writeSecret(folder, "cert", one.cert),
    });
    const own = files(server);
    const { provider, providerLog } = await startTls(
      { mode: "required", ...own, ca: ca.cert, clientAuth: "request" },
      {},
    );
    const { cert, key } = await ca.issue({ dns: ["web.example"] });
    const socket = await openTls(provider.address?.port as number, { cert: indefinite(cert), key });
    await eventually("the connection", async () => provider.connections === 1);
    files(await ca.issue({ dns: [name] }));
    await eventually("the reload", async () =>
      providerLog.at("info").some((line) => /are in use now/.test(line)),
    );
    expect(socket.destroyed).toBe(false);
    // It was turned away, and has nothing that could be withdrawn.
    expect(providerLog.at("warn").join("\n")).not.toContain("not trusted any more");
  });

  test("is refused with the reason at the handshake", async () => {
    const { provider, providerLog } = await startTls(
      { mode: "required", ...server, ca: ca.cert, clientAuth: "require" },
      {},
    );
    const odd = await ca.issue({ dns: ["a b.example"] });
    const socket = await openTls(provider.address?.port as number, odd);
    socket.end();
    await eventually("a line in the log", async () => providerLog.at("warn").length > 0);
    expect(providerLog.at("warn").join("\n")).toContain(
      "the caller's certificate is not accepted: the certificate cannot be read: a name that is not printable",
    );
  });
});

describe("with NODE_TLS_REJECT_UNAUTHORIZED=0", () => {
  const letAllIn = (): void => {
    vi.stubEnv("NODE_TLS_REJECT_UNAUTHORIZED", "0");
    onTestFinished(() => void vi.unstubAllEnvs());
  };

  test("a channel accepts no provider of another authority all the same", async () => {
    const stranger = await (await Authority.make("Other Authority")).issue({ dns: [name] });
    const { stub, identities } = await startTls(
      { mode: "required", ...stranger },
      { ca: ca.cert, peerName: name },
    );
    letAllIn();
    expect(await failureOf(stub.echo({ text: "x" }))).toContain("no authority that is trusted here (tls.ca)");
    expect(identities).toEqual([]);
  });

  test("a provider accepts no caller of another authority all the same", async () => {
    const stranger = await (await Authority.make("Other Authority")).issue({ dns: ["web.example"] });
    const { stub, identities } = await startTls(
      { mode: "required", ...server, ca: ca.cert, clientAuth: "require" },
      { ca: ca.cert, peerName: name, ...stranger },
    );
    letAllIn();
    expect(await failureOf(stub.echo({ text: "x" }))).toContain("the caller's certificate is not accepted");
    expect(identities).toEqual([]);
  });

  test("neither Consul nor its token is a stranger's", async () => {
    const stranger = await (await Authority.make("Other Authority")).issue({ ips: ["127.0.0.1"] });
    const asked: unknown[] = [];
    const consul = https.createServer(stranger, (request, response) => {
      asked.push(request.headers["x-consul-token"]);
      response.end("{}");
    });
    consul.listen(0, "127.0.0.1");
    await once(consul, "listening");
    onTestFinished(() => void consul.close());
    letAllIn();
    const http = new ConsulHttp({
      ...{ clock: systemClock, token: "t", datacenter: undefined, tls: true, ca: ca.cert },
    });
    const agent = { host: "127.0.0.1", port: (consul.address() as AddressInfo).port };
    await expect(http.send({ agent, method: "GET", path: "x", timeoutMs: 5000 })).rejects.toThrow();
    expect(asked).toEqual([]);
  });
});
