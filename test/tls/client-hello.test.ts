import { once } from "node:events";
import net from "node:net";
import tls from "node:tls";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { HelloReader, helloMaxBytes } from "../../src/transport/tls/client-hello.js";
import { SilentSockets } from "../../src/transport/tls/silent-sockets.js";
import { eventually } from "../tools/wait.js";
import { Authority, type Issued, secretLine } from "./authority.js";
import { startTls } from "./support.js";

let good: Issued;
/** The first bytes of an honest caller with a secret. */
let hello: Buffer;

beforeAll(async () => {
  good = await (await Authority.make()).issue();
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const accepted = once(server, "connection") as Promise<[net.Socket]>;
  const client = tls.connect({
    ...{ host: "127.0.0.1", port: (server.address() as net.AddressInfo).port, minVersion: "TLSv1.3" },
    pskCallback: () => ({ psk: Buffer.alloc(32, 7), identity: "apigw" }),
    checkServerIdentity: () => undefined,
  });
  client.on("error", () => {});
  const [socket] = await accepted;
  [hello] = (await once(socket, "data")) as [Buffer];
  client.destroy();
  server.close();
});

const record = (content: Buffer, kind = 0x16): Buffer =>
  Buffer.concat([Buffer.from([kind, 3, 1, content.length >> 8, content.length & 0xff]), content]);
const emptyRecord = record(Buffer.alloc(0));

/** What it finds, and of how many bytes, when they come as `chunks`. */
function readIn(chunks: Iterable<Buffer>, waitForPsk = true) {
  const reader = new HelloReader();
  for (const chunk of chunks) {
    const found = reader.read(chunk, waitForPsk);
    if (found.kind !== "need-more") return { ...found, bytes: reader.received.length };
  }
  return { kind: "need-more" };
}

function* oneByOne(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at++) yield bytes.subarray(at, at + 1);
}

function* inRecordsOfOne(message: Buffer): Generator<Buffer> {
  for (const byte of oneByOne(message)) yield record(byte);
}

describe("the first message of a caller", () => {
  test("is read the same, however it comes", () => {
    const expected = { kind: "tls", pskNames: ["apigw"] };
    expect(readIn([hello])).toMatchObject(expected);
    expect(readIn(oneByOne(hello))).toEqual({ ...expected, bytes: hello.length });
    expect(readIn(inRecordsOfOne(hello.subarray(5)))).toMatchObject(expected);
    // What comes behind it in the same read is none of it, whatever it is.
    expect(readIn([Buffer.concat([hello, record(Buffer.from([1]), 0x14)])])).toMatchObject(expected);
  });

  test("is not waited for where no names are needed", () => {
    expect(readIn(oneByOne(hello), false)).toEqual({ kind: "tls", pskNames: [], bytes: 2 });
  });

  test("made of empty records is refused, however they come", () => {
    const refused = { kind: "refused", reason: expect.stringContaining("empty records") };
    expect(readIn([Buffer.concat([emptyRecord, emptyRecord])])).toMatchObject(refused);
    expect(readIn(oneByOne(emptyRecord))).toMatchObject(refused);
    expect(readIn([record(hello.subarray(5, 9)), emptyRecord])).toMatchObject(refused);
  });

  test("is refused when it is too large, by what it says or by what comes", () => {
    const refused = { kind: "refused", reason: expect.stringContaining(`${helloMaxBytes} bytes`) };
    const longer = Buffer.from([1, 0, helloMaxBytes >> 8, 0]);
    expect(readIn([record(longer)])).toMatchObject(refused);
    const message = Buffer.concat([Buffer.from([1, 0, helloMaxBytes >> 9, 0]), Buffer.alloc(helloMaxBytes)]);
    expect(readIn(inRecordsOfOne(message))).toMatchObject(refused);
  });

  test("is read once, also from records of a byte that come a byte at a time", () => {
    // As many of them again and again would take minutes if each were read from the beginning.
    const records = Buffer.concat([
      ...inRecordsOfOne(Buffer.concat([Buffer.from([1, 0, 0x40, 0]), Buffer.alloc(5000)])),
    ]);
    const startMs = performance.now();
    for (let i = 0; i < 10; i++) expect(readIn(oneByOne(records)).kind).toBe("need-more");
    expect(performance.now() - startMs).toBeLessThan(5000);
  });

  test("refused: the connection is closed, and the provider's log has the reason", async () => {
    const { provider, providerLog } = await startTls(
      { ...good, mode: "required", secrets: `${secretLine("apigw")}\n` },
      {},
    );
    const socket = net.connect(provider.address?.port as number, "127.0.0.1").on("error", () => {});
    onTestFinished(() => void socket.destroy());
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.write(emptyRecord);
    await closed;
    await eventually("a line in the log", async () => providerLog.at("warn").length > 0);
    expect(providerLog.at("warn")).toEqual([
      "TLS handshake refused: the caller sends empty records of a handshake, which no honest one does",
    ]);
  });
});

test("sockets without a first message: one address closes its own oldest, and not those of others", () => {
  const silent = new SilentSockets();
  const closed: string[] = [];
  const add = (name: string, address: string): net.Socket => {
    const socket = { resetAndDestroy: () => closed.push(name) } as unknown as net.Socket;
    silent.add(socket, address);
    return socket;
  };
  add("first", "a");
  const left = add("left", "b");
  for (let i = 0; i < 1026; i++) add(`b${i}`, "b");
  expect(closed).toEqual(["left", "b0", "b1"]);
  silent.delete(left);
  for (const address of ["c", "d"]) for (let i = 0; i < 1024; i++) add(address, address);
  for (let i = 0; i < 1023; i++) add("e", "e");
  expect(closed.length).toBe(3);
  add("f", "f");
  expect(closed.slice(3)).toEqual(["first"]);
});
