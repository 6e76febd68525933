import net from "node:net";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import type { Address } from "../../src/base/address.js";
import { systemClock } from "../../src/base/clock.js";
import { tcpTransport } from "../../src/transport/tcp.js";
import { Authority, type Issued } from "../tls/authority.js";
import { openTransport, startTls } from "../tls/support.js";

/** As a process that loads its code, collects garbage, or runs a handler that computes. */
function busyFor(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

const connectTimeoutMs = 400;
const name = "users.example";
let ca: Authority;
let good: Issued;

beforeAll(async () => {
  ca = await Authority.make();
  good = await ca.issue({ dns: [name] });
});

async function listen(onConnection?: (socket: net.Socket) => void): Promise<Address> {
  const server = net.createServer(onConnection).listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await new Promise((resolve) => server.once("listening", resolve));
  return { host: "127.0.0.1", port: (server.address() as net.AddressInfo).port };
}

test("a connection that was made while this process was busy is one", async () => {
  const address = await listen();
  const connecting = tcpTransport(systemClock).connect(address, { timeoutMs: connectTimeoutMs });
  busyFor(connectTimeoutMs + 100);

  const connection = await connecting;
  expect(connection.closed).toBe(false);
  connection.destroy();
});

test("a TLS handshake goes on when both of its ends have been busy", async () => {
  const timeoutMs = 1000;
  const { provider, callerTransport } = await startTls(
    { mode: "required", ...good, handshakeTimeoutMs: timeoutMs },
    { ca: ca.cert, peerName: name },
  );
  const behind = provider.address as Address;
  // In the middle, when each end has said something, the process becomes busy.
  const between = await listen((client) => {
    const server = net.connect(behind);
    client.on("error", () => {}).once("data", () => setImmediate(() => busyFor(timeoutMs + 200)));
    client.pipe(server.on("error", () => {})).pipe(client);
  });

  const connection = await callerTransport.connect(between, { timeoutMs, alpn: ["mprpc/2"] });

  expect(connection.closed).toBe(false);
  connection.destroy();
});

test("a port that never answers a TLS handshake is told of, all the same", async () => {
  const address = await listen();
  const transport = openTransport({ ca: ca.cert, peerName: name });
  const connecting = transport.connect(address, { timeoutMs: 100 });

  await expect(connecting).rejects.toThrow(/TLS handshake.*100 ms/);
});
