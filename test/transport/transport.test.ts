import net from "node:net";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import type { Address } from "../../src/base/address.js";
import { systemClock } from "../../src/base/clock.js";
import { MemoryNetwork } from "../../src/transport/memory.js";
import { tcpTransport } from "../../src/transport/tcp.js";
import type { Connection, ConnectionHandler, Listener, Transport } from "../../src/transport/transport.js";
import { guarded } from "../tools/wait.js";

/** Keeps what a connection says, in order. */
class Notes implements ConnectionHandler {
  readonly connection: Connection;
  readonly log: string[] = [];
  bytes = Buffer.alloc(0);
  drains = 0;
  closeError: Error | undefined;
  #wake = (): void => {};

  constructor(connection: Connection) {
    this.connection = connection;
    connection.setHandler(this);
  }

  onData(chunk: Buffer): void {
    this.bytes = Buffer.concat([this.bytes, chunk]);
    if (this.log.at(-1) !== "data") this.log.push("data");
    this.#wake();
  }

  onEnd(): void {
    this.log.push("end");
    this.#wake();
  }

  onDrain(): void {
    this.drains++;
    this.#wake();
  }

  onClose(error: Error | undefined): void {
    this.log.push("close");
    this.closeError = error;
    this.#wake();
  }

  async until(what: string, test: () => boolean): Promise<void> {
    const met = async (): Promise<void> => {
      while (!test()) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    };
    await guarded(met(), what, () => [this.log, this.bytes.length]);
  }

  has(word: string): boolean {
    return this.log.includes(word);
  }
}

const kinds: Array<{ name: string; make: () => Transport }> = [
  { name: "tcp", make: () => tcpTransport(systemClock) },
  { name: "memory", make: () => new MemoryNetwork() },
];

describe.each(kinds)("$name", ({ make }) => {
  async function pair(): Promise<{ transport: Transport; listener: Listener; client: Notes; server: Notes }> {
    const transport = make();
    let take: (notes: Notes) => void = () => {};
    const accepted = new Promise<Notes>((resolve) => {
      take = resolve;
    });
    const listener = await transport.listen({ host: "127.0.0.1", port: 0 }, (connection) =>
      take(new Notes(connection)),
    );
    const client = new Notes(await transport.connect(listener.address, { timeoutMs: 5000 }));
    const server = await guarded(accepted, "the accepted connection");
    onTestFinished(async () => {
      client.connection.destroy();
      server.connection.destroy();
      await listener.close();
    });
    return { transport, listener, client, server };
  }

  test("bytes arrive whole and in order, both ways", async () => {
    const { client, server } = await pair();
    const large = Buffer.alloc(3_000_000, "0123456789");
    client.connection.write(Buffer.from("hello "));
    client.connection.write(large);
    server.connection.write(Buffer.from("welcome"));
    await server.until("all bytes", () => server.bytes.length === large.length + 6);
    expect(server.bytes.subarray(6).equals(large)).toBe(true);
    await client.until("the answer", () => client.bytes.toString() === "welcome");
  });

  test("names of both ends agree", async () => {
    const { client, server, listener } = await pair();
    expect(client.connection.remote).toBe(`127.0.0.1:${listener.address.port}`);
    expect(server.connection.local).toBe(client.connection.remote);
    expect(server.connection.remote).toBe(client.connection.local);
  });

  test("a buffer whose write returned true may be used again", async () => {
    const { client, server } = await pair();
    const buffer = Buffer.alloc(1000);
    let sent = 0;
    for (let i = 0; i < 200; i++) {
      buffer.fill(i);
      if (!client.connection.write(buffer)) {
        const before = client.drains;
        await client.until("the drain", () => client.drains > before);
      }
      sent += buffer.length;
    }
    await server.until("all bytes", () => server.bytes.length === sent);
    for (let i = 0; i < 200; i++) expect(server.bytes[i * 1000 + 999]).toBe(i % 256);
  });

  test("back-pressure: a reader that pauses is felt, and drains when it goes on", async () => {
    const { client, server } = await pair();
    server.connection.pause();
    let written = 0;
    while (client.connection.write(Buffer.alloc(256 * 1024)) && written < 64 << 20) written += 256 * 1024;
    expect(written).toBeLessThan(64 << 20);
    expect(client.connection.unwrittenBytes).toBeGreaterThan(0);
    expect(client.drains).toBe(0);
    server.connection.resume();
    await client.until("the drain", () => client.drains === 1);
    expect(client.connection.unwrittenBytes).toBe(0);
  });

  test("end: what was written arrives, then the end; the other direction stays open", async () => {
    const { client, server } = await pair();
    client.connection.write(Buffer.from("last words"));
    client.connection.end();
    await server.until("the end", () => server.has("end"));
    expect(server.log).toEqual(["data", "end"]);
    server.connection.write(Buffer.from("still here"));
    await client.until("the answer", () => client.bytes.toString() === "still here");
    server.connection.end();
    await client.until("the close", () => client.has("close"));
    await server.until("the close", () => server.has("close"));
    expect([client.closeError, server.closeError]).toEqual([undefined, undefined]);
  });

  test("destroy: closes both directions here; what had left arrives there", async () => {
    const { client, server } = await pair();
    client.connection.write(Buffer.from("bye"));
    client.connection.destroy();
    await client.until("the close", () => client.has("close"));
    await server.until("the end", () => server.has("end"));
    expect(server.bytes.toString()).toBe("bye");
    expect(client.connection.closed).toBe(true);
  });

  test("reset: the peer sees a failure, never a clean end", async () => {
    const { client, server } = await pair();
    client.connection.write(Buffer.from("x"));
    await server.until("the byte", () => server.bytes.length === 1);
    client.connection.reset();
    await server.until("the close", () => server.has("close"));
    expect(server.log).toEqual(["data", "close"]);
    expect(server.closeError).toBeInstanceOf(Error);
  });

  test("writing to a closed connection is harmless; onClose comes once", async () => {
    const { client } = await pair();
    client.connection.destroy();
    client.connection.destroy();
    client.connection.reset();
    expect(client.connection.write(Buffer.from("x"))).toBe(true);
    client.connection.end();
    await client.until("the close", () => client.has("close"));
    await new Promise((resolve) => setImmediate(resolve));
    expect(client.log).toEqual(["close"]);
  });

  test("a new owner gets what comes from then on", async () => {
    const { client, server } = await pair();
    client.connection.write(Buffer.from("a"));
    await server.until("a", () => server.bytes.length === 1);
    const second = new Notes(server.connection);
    client.connection.write(Buffer.from("b"));
    await second.until("b", () => second.bytes.length === 1);
    expect(server.bytes.toString()).toBe("a");
  });

  test("nobody listens: refused, with the address", async () => {
    const { transport, listener } = await pair();
    await listener.close();
    await expect(transport.connect(listener.address, { timeoutMs: 5000 })).rejects.toThrow(
      `cannot connect to 127.0.0.1:${listener.address.port}: ECONNREFUSED`,
    );
  });

  test("a port in use, with the address", async () => {
    const { transport, listener } = await pair();
    await expect(transport.listen(listener.address, () => {})).rejects.toThrow(
      `cannot listen on 127.0.0.1:${listener.address.port}: EADDRINUSE`,
    );
  });

  test("a closed listener's port is free at once, its connections live on", async () => {
    const { transport, listener, client, server } = await pair();
    await listener.close();
    const next = await transport.listen(listener.address, () => {});
    await next.close();
    client.connection.write(Buffer.from("alive"));
    await server.until("bytes", () => server.bytes.toString() === "alive");
  });

  test("connecting can be given up, before and meanwhile", async () => {
    const { transport, listener } = await pair();
    const connect = (signal: AbortSignal) => transport.connect(listener.address, { timeoutMs: 5000, signal });
    await expect(connect(AbortSignal.abort())).rejects.toThrow("was given up");
    const abort = new AbortController();
    const connecting = connect(abort.signal);
    abort.abort();
    await expect(connecting).rejects.toThrow("was given up");
  });
});

describe("tcp alone", () => {
  const transport = tcpTransport(systemClock);

  test("a connection that came back to the caller itself is none", async () => {
    const listener = await transport.listen({ host: "127.0.0.1", port: 0 }, () => {});
    const { address } = listener;
    await listener.close();
    // What the system does by chance: the caller is given the port it calls.
    const { connect } = net;
    const spy = vi
      .spyOn(net, "connect")
      .mockImplementation(((options: net.TcpNetConnectOpts) =>
        connect({ ...options, localAddress: address.host, localPort: address.port })) as typeof connect);
    onTestFinished(() => spy.mockRestore());
    await expect(transport.connect(address, { timeoutMs: 10_000 })).rejects.toThrow(
      `cannot connect to 127.0.0.1:${address.port}: nobody listens there`,
    );
  });

  test("IPv6, named in brackets", async () => {
    let peer: Notes | undefined;
    const listener = await transport.listen({ host: "::1", port: 0 }, (connection) => {
      peer = new Notes(connection);
    });
    onTestFinished(() => listener.close());
    const client = new Notes(await transport.connect(listener.address, { timeoutMs: 5000 }));
    expect(client.connection.remote).toBe(`[::1]:${listener.address.port}`);
    client.connection.reset();
    await client.until("the close", () => client.has("close"));
    await peer?.until("the close", () => peer?.has("close") === true);
  });

  test("a dual-stack listener shows IPv4 callers as IPv4", async () => {
    let name = "";
    const listener = await transport.listen({ host: "::", port: 0 }, (connection) => {
      name = connection.remote;
      new Notes(connection);
      connection.destroy();
    });
    onTestFinished(() => listener.close());
    const client = new Notes(
      await transport.connect({ host: "127.0.0.1", port: listener.address.port }, { timeoutMs: 5000 }),
    );
    await client.until("the end", () => client.has("end") || client.has("close"));
    client.connection.destroy();
    expect(name).toMatch(/^127\.0\.0\.1:\d+$/);
  });

  test("a connection that takes too long names the limit and its key", async () => {
    const nowhere: Address = { host: "127.0.0.1", port: 9 };
    const clock = {
      ...systemClock,
      setTimer: (callback: () => void) => {
        queueMicrotask(callback);
        return { cancel: () => {} };
      },
    };
    await expect(tcpTransport(clock).connect(nowhere, { timeoutMs: 2000 })).rejects.toThrow(
      "no connection to 127.0.0.1:9 within 2000 ms (channel.connecttimeout)",
    );
  });

  test("the local address towards a peer, without a packet", async () => {
    expect(await transport.localHostTowards({ host: "127.0.0.1", port: 2181 })).toBe("127.0.0.1");
  });
});

describe("memory alone", () => {
  test("cutAll: both ends learn of it", async () => {
    const network = new MemoryNetwork();
    let server: Notes | undefined;
    const listener = await network.listen({ host: "a", port: 0 }, (connection) => {
      server = new Notes(connection);
    });
    const client = new Notes(await network.connect(listener.address, { timeoutMs: 1 }));
    network.cutAll();
    await client.until("the close", () => client.has("close"));
    await server?.until("the close", () => server?.has("close") === true);
    expect([client.closeError?.message, server?.closeError?.message]).toEqual([
      "connection reset by the peer",
      "connection reset by the peer",
    ]);
  });

  test("dropAll: nothing arrives any more, nobody is told, new connections work", async () => {
    const network = new MemoryNetwork();
    const servers: Notes[] = [];
    const listener = await network.listen({ host: "a", port: 0 }, (connection) => {
      servers.push(new Notes(connection));
    });
    const client = new Notes(await network.connect(listener.address, { timeoutMs: 1 }));
    client.connection.write(Buffer.from("lost"));
    network.dropAll();
    client.connection.write(Buffer.from("lost too"));
    client.connection.end();
    for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
    expect([servers[0]?.log, client.log]).toEqual([[], []]);
    const next = new Notes(await network.connect(listener.address, { timeoutMs: 1 }));
    next.connection.write(Buffer.from("fine"));
    await servers[1]?.until("bytes", () => servers[1]?.bytes.toString() === "fine");
  });
});

test.each([
  ["EADDRNOTAVAIL", "it is no address of this machine (rpcserverip; 0.0.0.0 listens on all)"],
  ["ENOTFOUND", "there is no such host (rpcserverip)"],
  ["EAI_AGAIN", "the host cannot be looked up now (rpcserverip; an address needs no look-up)"],
  [
    "EACCES",
    "this user may not listen there; ports below 1024 are the system's (rpcserverport; 0 picks a free one)",
  ],
])("a TCP listener that fails with %s says why, and the key to change", async (code, hint) => {
  // Which of these a machine gives depends on its network and its user.
  const fails = vi.spyOn(net.Server.prototype, "listen").mockImplementation(function (this: net.Server) {
    queueMicrotask(() => this.emit("error", Object.assign(new Error(code), { code })));
    return this;
  });
  onTestFinished(() => fails.mockRestore());
  const listening = tcpTransport(systemClock).listen({ host: "somewhere", port: 80 }, () => {});
  await expect(listening).rejects.toThrow(`cannot listen on somewhere:80: ${code}: ${hint}`);
});
