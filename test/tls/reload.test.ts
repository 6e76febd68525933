import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import tls from "node:tls";
import { beforeAll, describe, expect, test } from "vitest";
import type { Connection } from "../../src/transport/transport.js";
import { eventually } from "../tools/wait.js";
import { Authority, type Issued, secretLine, writeSecret } from "./authority.js";
import { failureOf, startTls, temporaryFolder } from "./support.js";

const name = "users.example";
let ca: Authority;
let server: Issued;
let client: Issued;

beforeAll(async () => {
  ca = await Authority.make();
  server = await ca.issue({ dns: [name] });
  client = await ca.issue({ dns: ["apigw.example"] });
});

/** Files as a conf names them, each replaced as a whole. */
class Files {
  readonly folder = temporaryFolder();

  write(file: string, text: string): string {
    const target = path.join(this.folder, file);
    writeFileSync(`${target}.new`, text, { mode: 0o600 });
    renameSync(`${target}.new`, target);
    return target;
  }
}

/** Which certificate the provider shows. */
async function serialAt(port: number): Promise<string> {
  const socket = tls.connect({ host: "127.0.0.1", port, rejectUnauthorized: false });
  await new Promise((resolve) => socket.once("secureConnect", resolve));
  const { serialNumber } = socket.getPeerCertificate();
  socket.destroy();
  return serialNumber.toLowerCase().padStart(8, "0");
}

const mutual = (files: Files) => ({
  mode: "required" as const,
  cert: files.write("cert", server.cert),
  key: files.write("key", server.key),
  ca: files.write("ca", ca.cert),
  clientAuth: "require" as const,
});
const caller = () => ({ ca: ca.cert, peerName: name, cert: client.cert, key: client.key });

describe("files that change", () => {
  test("a new certificate is shown to new callers, and old connections live on", async () => {
    const files = new Files();
    const { stub, provider } = await startTls(mutual(files), caller());
    await stub.echo({ text: "x" });
    const port = provider.address?.port as number;
    expect(await serialAt(port)).toBe(server.serial);
    const next = await ca.issue({ dns: [name] });
    files.write("key", next.key);
    files.write("cert", next.cert);
    await eventually("the new certificate", async () => (await serialAt(port)) === next.serial);
    expect((await stub.echo({ text: "still" })).text).toBe("still");
    expect(provider.connections).toBe(1);
  });

  test("that cannot be used leave the old ones, and an error in the log", async () => {
    const files = new Files();
    const { stub, provider, providerLog } = await startTls(mutual(files), caller());
    files.write("cert", "-----BEGIN nonsense");
    await eventually("an error in the log", async () =>
      providerLog.at("error").some((line) => /the old ones stay: tls.cert: \S+ has no block/.test(line)),
    );
    expect(await serialAt(provider.address?.port as number)).toBe(server.serial);
    expect((await stub.echo({ text: "x" })).text).toBe("x");
    files.write("cert", server.cert);
    const other = await ca.issue({ dns: [name] });
    files.write("cert", other.cert);
    files.write("key", other.key);
    await eventually(
      "the next certificate",
      async () => (await serialAt(provider.address?.port as number)) === other.serial,
    );
  });

  test("of a folder that is replaced behind a symbolic link, as containers mount them, are seen", async () => {
    const files = new Files();
    const write = (folder: string, { cert, key }: Issued): void => {
      mkdirSync(path.join(files.folder, folder));
      writeFileSync(path.join(files.folder, folder, "cert"), cert);
      writeFileSync(path.join(files.folder, folder, "key"), key, { mode: 0o600 });
    };
    write("v1", server);
    symlinkSync("v1", path.join(files.folder, "data"));
    for (const one of ["cert", "key"]) symlinkSync(`data/${one}`, path.join(files.folder, one));
    const { provider } = await startTls(
      { mode: "required", cert: path.join(files.folder, "cert"), key: path.join(files.folder, "key") },
      {},
    );
    const next = await ca.issue({ dns: [name] });
    write("v2", next);
    symlinkSync("v2", path.join(files.folder, "data.new"));
    renameSync(path.join(files.folder, "data.new"), path.join(files.folder, "data"));
    rmSync(path.join(files.folder, "v1"), { recursive: true });
    await eventually(
      "the new certificate",
      async () => (await serialAt(provider.address?.port as number)) === next.serial,
    );
  });
});

describe("a channel that connects again", () => {
  test("stays connected when the provider gets another certificate, behind an intermediate authority too", async () => {
    const root = await Authority.make();
    const middle = await root.below("Middle");
    const issue = async (dns: string): Promise<Pick<Issued, "cert" | "key">> => {
      const { cert, key } = await middle.issue({ dns: [dns] });
      return { cert: `${cert}\n${middle.cert}`, key };
    };
    const files = new Files();
    const first = await issue(name);
    const { providerTransport, callerTransport, providerLog } = await startTls(
      {
        ...{ mode: "required", clientAuth: "require", ca: root.cert },
        ...{ cert: files.write("cert", first.cert), key: files.write("key", first.key) },
      },
      { ca: root.cert, peerName: name, ...(await issue("apigw.example")) },
    );
    const silent = { onData() {}, onEnd() {}, onDrain() {}, onClose() {} };
    const listener = await providerTransport.listen({ host: "127.0.0.1", port: 0 }, (connection) =>
      connection.setHandler(silent),
    );
    const options = { timeoutMs: 10_000, peerName: name };
    let connection = await callerTransport.connect(listener.address, options);
    for (let tries = 0; tries < 50; tries++) {
      const { socket } = connection as unknown as { socket: tls.TLSSocket };
      if (socket.isSessionReused()) break;
      connection.setHandler(silent);
      await new Promise((resolve) => setTimeout(resolve, 20));
      connection = await callerTransport.connect(listener.address, options);
    }
    const { socket } = connection as unknown as { socket: tls.TLSSocket };
    expect(socket.isSessionReused()).toBe(true);
    const next = await issue(name);
    files.write("cert", next.cert);
    files.write("key", next.key);
    await eventually("the new certificate", async () =>
      providerLog.at("info").some((line) => line.includes("are in use now")),
    );
    expect(providerLog.at("warn")).toEqual([]);
    await listener.close();
  });

  test("goes on with its session, and knows who the provider is", async () => {
    const { providerTransport, callerTransport } = await startTls(
      { mode: "required", cert: server.cert, key: server.key },
      { ca: ca.cert, peerName: name },
    );
    const accepted: Connection[] = [];
    const listener = await providerTransport.listen({ host: "127.0.0.1", port: 0 }, (connection) => {
      accepted.push(connection);
      connection.setHandler({ onData() {}, onEnd() {}, onDrain() {}, onClose() {} });
    });
    const known: Array<[identity: string | undefined, reused: boolean]> = [];
    for (let i = 0; i < 2; i++) {
      const connection = await callerTransport.connect(listener.address, {
        timeoutMs: 10_000,
        peerName: name,
      });
      const { socket } = connection as unknown as { socket: tls.TLSSocket };
      known.push([connection.security?.identity, socket.isSessionReused()]);
      const ticket = new Promise((resolve) => socket.once("session", resolve));
      connection.setHandler({ onData() {}, onEnd() {}, onDrain() {}, onClose() {} });
      // A session that goes on need not bring a new ticket.
      if (i === 0) await ticket;
      connection.destroy();
    }
    expect(known).toEqual([
      [`dns:${name}`, false],
      [`dns:${name}`, true],
    ]);
    // Whom another service expects is checked by a handshake of its own.
    const other = { timeoutMs: 10_000, peerName: "other.example" };
    await expect(callerTransport.connect(listener.address, other)).rejects.toThrow(
      /other.example is expected/,
    );
    for (const connection of accepted) connection.destroy();
    await listener.close();
  });
});

describe("who is not trusted any more", () => {
  test("by a revocation list that changed: a caller is drained, cut and not let in again", async () => {
    const files = new Files();
    const crl = files.write("crl", await ca.revoke());
    const { stub, provider, providerLog } = await startTls({ ...mutual(files), crl }, caller());
    await stub.echo({ text: "x" });
    files.write("crl", await ca.revoke(client.serial));
    await eventually("the connection's end", async () => provider.connections === 0);
    expect(providerLog.at("warn").join("\n")).toContain(
      "not trusted any more: the certificate is revoked (tls.crl)",
    );
    expect(await failureOf(stub.echo({ text: "x" }))).toContain("revoked (tls.crl)");
  });

  test("by authorities that changed: a call in flight has its time, and a stranger is not let in again", async () => {
    const files = new Files();
    let release = (): void => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { stub, provider } = await startTls(mutual(files), caller(), {
      handlers: { relay: async (request) => held.then(() => request) },
    });
    await stub.echo({ text: "x" });
    const call = stub.relay({ text: "held" });
    const next = await Authority.make("Next Authority");
    const cut = failureOf(call);
    files.write("ca", next.cert);
    // It does not end, and is cut after `cutAfterMs`.
    expect(await cut).toContain(
      "connection lost: closed by the provider: the other side is not trusted any more",
    );
    release();
    await eventually("no connection", async () => provider.connections === 0);
    expect(await failureOf(stub.echo({ text: "x" }))).toContain("no authority that is trusted");
  });

  test("by a channel: its connection is left and cut when its provider's authority is gone", async () => {
    const files = new Files();
    const { stub, provider } = await startTls(
      { mode: "required", cert: server.cert, key: server.key },
      { ca: files.write("ca", ca.cert), peerName: name },
    );
    await stub.echo({ text: "x" });
    files.write("ca", (await Authority.make("Next Authority")).cert);
    await eventually("no connection", async () => provider.connections === 0);
    expect(await failureOf(stub.echo({ text: "x" }))).toContain("no authority that is trusted");
  });

  test("with a secret that was changed or taken out", async () => {
    const folder = temporaryFolder();
    const apigw = secretLine("apigw");
    const secrets = writeSecret(folder, "secrets", `${apigw}\n${secretLine("worker")}\n`);
    const { stub, provider } = await startTls({ mode: "required", secrets }, { secrets: `${apigw}\n` });
    await stub.echo({ text: "x" });
    writeSecret(folder, "secrets", `${secretLine("apigw")}\n`);
    await eventually("no connection", async () => provider.connections === 0);
    expect(await failureOf(stub.echo({ text: "x" }))).toContain("different keys of this secret");
  });

  test("cannot go on with a ticket of before", async () => {
    const files = new Files();
    const { provider, providerLog } = await startTls(mutual(files), {});
    const port = provider.address?.port as number;
    const options = {
      host: "127.0.0.1",
      port,
      ca: ca.cert,
      cert: client.cert,
      key: client.key,
      checkServerIdentity: () => undefined,
    };
    const first = tls.connect(options);
    const session = await new Promise<Buffer>((resolve) => first.once("session", resolve));
    const resumes = async (): Promise<boolean> => {
      const socket = tls.connect({ ...options, session });
      await new Promise((resolve) => socket.once("secureConnect", resolve));
      const reused = socket.isSessionReused();
      socket.destroy();
      return reused;
    };
    expect(await resumes()).toBe(true);
    files.write("ca", `${ca.cert}\n${(await Authority.make("Next Authority")).cert}`);
    await eventually("the reload", async () =>
      providerLog.at("info").some((line) => /are in use now/.test(line)),
    );
    expect(await resumes()).toBe(false);
    first.destroy();
  });
});
