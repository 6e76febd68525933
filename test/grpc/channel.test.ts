import { expect, test } from "vitest";
import { Status } from "../../src/error/status.js";
import type { Http2ServerSession } from "../../src/protocol/http2/server-session.js";
import type { Http2Stream, StreamHandler } from "../../src/protocol/http2/stream.js";
import { ErrorCode } from "../../src/protocol/http2/wire/frame.js";
import { settle } from "../../src/testing/index.js";
import type { Transport } from "../../src/transport/transport.js";
import { type Fields, fieldsOf, outgoing } from "../protocol/http2/pair.js";
import { failure } from "../support/async.js";
import { Cluster } from "../support/cluster.js";
import { FixedRegistry } from "../support/fixed-registry.js";
import { ProbeServiceStub } from "../support/gen/probe.js";
import { framed, rawServer } from "./raw.js";

const address = { host: "10.0.0.1", port: 50_051 };
const head = { ":status": "200", "content-type": "application/grpc" };

type Answer = (stream: Http2Stream, session: Http2ServerSession, count: number) => void;

/** A server that lets the test answer each request, and a stub of a channel to it. */
async function withServer(answer: Answer) {
  const cluster = new Cluster({});
  const requests: Fields[] = [];
  const sessions = await rawServer(
    cluster.network,
    address,
    cluster.clock,
    (session) => (stream, headers) => {
      requests.push(fieldsOf(headers));
      const count = requests.length;
      const handler: StreamHandler = {
        onData: (one, _bytes, start, end, endStream) => {
          one.consumed(end - start);
          if (endStream) answer(stream, session, count);
        },
        onTrailers() {},
        onWritable() {},
        onReset: (one) => one.release(),
      };
      return handler;
    },
  );
  const registry = new FixedRegistry([{ ...address, protocol: "grpc", weight: 1, attributes: {} }]);
  const stub = new ProbeServiceStub(cluster.channel({ registry }));
  return { cluster, requests, sessions, stub };
}

function succeed(stream: Http2Stream): void {
  stream.headers(undefined, outgoing(head));
  stream.write(framed(), false);
  stream.end(undefined, outgoing({ "grpc-status": "0" }));
}

function fail(stream: Http2Stream, fields: Fields): void {
  stream.headers(undefined, outgoing({ ...head, ...fields }), true);
}

test("what a request says", async () => {
  const { requests, stub } = await withServer(succeed);
  await stub.echo({}, { timeoutMs: 2000, metadata: { "x-bin": Buffer.from([1]) }, idempotencyKey: "key 1" });
  expect(requests).toEqual([
    {
      ...{ ":method": "POST", ":scheme": "http", ":path": "/probe.ProbeService/Echo" },
      ...{ ":authority": "10.0.0.1:50051", te: "trailers", "content-type": "application/grpc" },
      "user-agent": expect.stringMatching(/^mprpc-node\//),
      ...{ "grpc-accept-encoding": "identity,gzip", "grpc-timeout": "2000m" },
      ...{ "idempotency-key": "key 1", "x-bin": "AQ" },
    },
  ]);
});

test.each([
  ["a failure of the server", { "grpc-status": "14", "grpc-message": "b%C3%BCsy" }, 14, "büsy", "maybe"],
  ["one that says it ran", { "grpc-status": "5", "mprpc-executed": "yes" }, 5, "", "yes"],
  ["one that says it did not run", { "grpc-status": "8", "mprpc-executed": "never" }, 8, "", "never"],
  ["a code that is none", { "grpc-status": "77" }, 2, "", "maybe"],
  ["no code", {}, 2, "grpc-status", "maybe"],
  ["another status of HTTP", { ":status": "503" }, 14, "HTTP status 503", "maybe"],
  ["one that is not gRPC", { ":status": "404", "content-type": "text/html" }, 12, "text/html", "maybe"],
])("%s", async (_name, fields, code, text, executed) => {
  const { stub } = await withServer((stream) => fail(stream, fields as unknown as Fields));
  const error = await failure(stub.echo({}));
  expect(error).toMatchObject({ code, executed, rawMessage: expect.stringContaining(text) });
});

test("the body of an HTTP error is let go", async () => {
  const { stub } = await withServer((stream) => {
    stream.headers(undefined, outgoing({ ":status": "502", "content-type": "text/html" }));
    stream.write(Buffer.from("<html>"), true);
  });
  expect(await failure(stub.echo({}))).toMatchObject({ code: Status.UNAVAILABLE, executed: "maybe" });
});

test("REFUSED_STREAM before any header: no handler ran, and the call is tried once more", async () => {
  const { stub, requests } = await withServer((stream, _session, count) => {
    if (count === 1) stream.reset(ErrorCode.REFUSED_STREAM);
    else succeed(stream);
  });
  await stub.echo({});
  expect(requests[1]?.["grpc-previous-rpc-attempts"]).toBe("1");
  const always = await withServer((stream) => stream.reset(ErrorCode.REFUSED_STREAM));
  const error = await failure(always.stub.echo({}));
  expect(error).toMatchObject({ code: Status.UNAVAILABLE, executed: "never", attempts: 2 });
});

test("a refusal that says when to come back is followed by the next try just then", async () => {
  const later = { "grpc-status": "14", "mprpc-executed": "never", "grpc-retry-pushback-ms": "500" };
  const { cluster, stub, requests } = await withServer((stream, _session, count) => {
    if (count % 2 === 1) fail(stream, later);
    else succeed(stream);
  });
  const call = stub.echo({});
  await cluster.clock.run(490);
  expect(requests).toHaveLength(1);
  await cluster.clock.run(20);
  await call;
  expect(requests).toHaveLength(2);
  const abort = new AbortController();
  const cancelled = failure(stub.echo({}, { signal: abort.signal }));
  await cluster.clock.run(100);
  abort.abort();
  expect(await cancelled).toMatchObject({ code: Status.CANCELLED, executed: "never" });
  await cluster.clock.run(1000);
  expect(requests).toHaveLength(3);
});

test.each([
  ["REFUSED_STREAM behind the response's headers", true, ErrorCode.REFUSED_STREAM, Status.UNAVAILABLE],
  ["CANCEL", false, ErrorCode.CANCEL, Status.CANCELLED],
  ["ENHANCE_YOUR_CALM", false, ErrorCode.ENHANCE_YOUR_CALM, Status.RESOURCE_EXHAUSTED],
  ["INTERNAL_ERROR", false, ErrorCode.INTERNAL_ERROR, Status.INTERNAL],
])("%s: it may have run, and is not tried again", async (_name, begun, reset, code) => {
  const { stub, requests } = await withServer((stream) => {
    if (begun) stream.headers(undefined, outgoing(head));
    stream.reset(reset);
  });
  expect(await failure(stub.echo({}))).toMatchObject({ code, executed: "maybe" });
  expect(requests).toHaveLength(1);
});

test("a connection that is lost: the call may have run", async () => {
  const { stub } = await withServer((_stream, session) => session.close("gone"));
  expect(await failure(stub.echo({}))).toMatchObject({ code: Status.UNAVAILABLE, executed: "maybe" });
});

test("a response without a message, and one with two", async () => {
  const none = await withServer((stream) => fail(stream, { "grpc-status": "0" }));
  expect(await failure(none.stub.echo({}))).toMatchObject({ code: Status.INTERNAL });
  const two = await withServer((stream) => {
    stream.headers(undefined, outgoing(head));
    stream.write(Buffer.concat([framed(), framed()]), false);
    stream.end(undefined, outgoing({ "grpc-status": "0" }));
  });
  expect(await failure(two.stub.echo({}))).toMatchObject({ code: Status.INTERNAL });
});

test("metadata that gRPC does not carry fail the call before anything is sent", async () => {
  const { stub, requests } = await withServer(succeed);
  for (const metadata of [{ key: "ü" }, { key: Buffer.from([1]) }]) {
    expect(await failure(stub.echo({}, { metadata }))).toMatchObject({ executed: "never" });
  }
  expect(requests).toHaveLength(0);
});

test("GOAWAY: what was not taken goes on another connection, what was taken is answered there", async () => {
  const held: Http2Stream[] = [];
  const { stub, sessions, requests } = await withServer((stream, session, count) => {
    if (count === 1) {
      held.push(stream);
      session.drain("old");
    } else succeed(stream);
  });
  const first = stub.echo({});
  await expect.poll(() => held.length).toBe(1);
  // The GOAWAY is on its way.
  await settle();
  await stub.echo({});
  expect(sessions).toHaveLength(2);
  succeed(held[0] as Http2Stream);
  await first;
  expect(requests).toHaveLength(2);
});

test("a server that finds pings too many gets them half as often", async () => {
  const cluster = new Cluster({ settings: { channel: { grpcPingIntervalMs: 300_000 } } });
  let pings = 0;
  const sessions = await rawServer(
    cluster.network,
    address,
    cluster.clock,
    (session) => (stream) => {
      const onPing = session.onPing.bind(session);
      session.onPing = (ack, buffer, start) => {
        if (!ack) pings++;
        onPing(ack, buffer, start);
      };
      succeed(stream);
      return undefined;
    },
    { pingIntervalMs: Number.POSITIVE_INFINITY },
  );
  const registry = new FixedRegistry([{ ...address, protocol: "grpc", weight: 1, attributes: {} }]);
  const stub = new ProbeServiceStub(cluster.channel({ registry }));
  await stub.echo({});
  await cluster.clock.run(310_000);
  expect(pings).toBe(1);
  sessions[0]?.close("too_many_pings", ErrorCode.ENHANCE_YOUR_CALM);
  await cluster.clock.run(10);
  await stub.echo({});
  expect(sessions).toHaveLength(2);
  await cluster.clock.run(310_000);
  expect(pings).toBe(1);
  await cluster.clock.run(300_000);
  expect(pings).toBe(2);
});

test("a token is marked never to be put into a table, by proxies either", async () => {
  const cluster = new Cluster({});
  const confidential = cluster.network.as(undefined);
  const written: Buffer[] = [];
  const transport: Transport = {
    listen: (...at) => confidential.listen(...at),
    localHostTowards: (server) => confidential.localHostTowards(server),
    connect: async (...to) => {
      const connection = await confidential.connect(...to);
      const write = connection.write.bind(connection);
      connection.write = (bytes) => {
        written.push(Buffer.from(bytes));
        return write(bytes);
      };
      return connection;
    },
  };
  await rawServer(cluster.network, address, cluster.clock, () => (stream) => {
    succeed(stream);
    return undefined;
  });
  const registry = new FixedRegistry([{ ...address, protocol: "grpc", weight: 1, attributes: {} }]);
  const credentials = async () => ({ token: "abc" });
  const channel = cluster.channel({ registry, credentials }, cluster.runtime({ transport }));
  await new ProbeServiceStub(channel).echo({});
  // RFC 7541, 6.2.3: a literal never indexed, whose name is number 23 of the static table.
  expect(Buffer.concat(written).includes(Buffer.of(0x1f, 23 - 15))).toBe(true);
});
