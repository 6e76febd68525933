import { describe, expect, test } from "vitest";
import { Metadata } from "../../src/base/metadata.js";
import type { RpcError } from "../../src/error/rpc-error.js";
import { formatOf } from "../../src/protocol/grpc/content-type.js";
import { MessageBody } from "../../src/protocol/grpc/message-body.js";
import { appendMetadata, metadataOf, RepeatedMetadata } from "../../src/protocol/grpc/metadata-fields.js";
import { detectHttp } from "../../src/protocol/grpc/server-protocol.js";
import { decodeStatusDetails, encodeStatusDetails } from "../../src/protocol/grpc/status-details.js";
import { decodeStatusMessage, encodeStatusMessage } from "../../src/protocol/grpc/status-message.js";
import { formatTimeout, parseTimeout, sentTimeoutMs } from "../../src/protocol/grpc/timeout.js";
import { HeaderField, HeaderList } from "../../src/protocol/http2/wire/header-field.js";
import type { OutgoingField } from "../../src/protocol/http2/wire/hpack-encoder.js";
import { deferred, seeded } from "../support/async.js";

test("grpc-timeout: every unit, and what is none", () => {
  const read = ["1H", "2M", "3S", "4m", "5u", "6n", "99999999m"].map(parseTimeout);
  expect(read).toEqual([3_600_000, 120_000, 3000, 4, 0.005, 6e-6, 99_999_999]);
  for (const text of ["", "1", "m", "1x", "-1m", "1.5S", "100000000m", " 1m"]) {
    expect(parseTimeout(text)).toBeUndefined();
  }
  expect([0, 1, 5000, 100_000_000, 1e15].map(formatTimeout)).toEqual([
    ...["1n", "1m", "5000m", "100000S", "99999999H"],
  ]);
});

test("a timeout is sent as one of few numbers: never less, and 1 % more at most", () => {
  const sent = [0, 0.4, 1, 999.9, 1000, 1001, 2999.9999, 3000.0001, 9991, 29_999.5, 30_001, 123_456, 1e9 + 1];
  expect(sent.map(sentTimeoutMs)).toEqual([
    ...[0, 0, 1, 999, 1000, 1010, 3000, 3000, 10_000, 30_000, 30_100, 124_000, 1_010_000_000],
  ]);
  const random = seeded(7);
  for (let i = 0; i < 10_000; i++) {
    const timeoutMs = Math.floor(10 ** (random() * 9));
    const given = parseTimeout(formatTimeout(sentTimeoutMs(timeoutMs))) ?? Number.NaN;
    expect(given).toBeGreaterThanOrEqual(timeoutMs);
    expect(given).toBeLessThanOrEqual(timeoutMs * 1.01);
  }
});

test("grpc-message: text of any kind comes back; what is no encoding stays as it is", () => {
  for (const text of ["", "plain", "100 %", "\t\nblank ", "☺ 😈", "a%20b", "é"]) {
    const value = encodeStatusMessage(text);
    expect(value).toMatch(/^[ -~]*$/);
    expect(decodeStatusMessage(value)).toBe(text);
  }
  expect(["%", "%4", "%zz", "a%2", "%41%"].map(decodeStatusMessage)).toEqual(["%", "%4", "%zz", "a%2", "A%"]);
});

test("grpc-status-details-bin: ours to google.rpc.Status and back", () => {
  const details = [
    { type: "interop.Empty", value: Buffer.alloc(0) },
    { type: "example.com/other.Type", value: Buffer.from([1, 2, 3]) },
  ];
  const value = encodeStatusDetails(5, "nöthing", details);
  expect(Buffer.from(value, "base64").toString("latin1")).toContain("type.googleapis.com/interop.Empty");
  const back = decodeStatusDetails(value);
  expect(back?.map(({ type, value: bytes }) => [type, [...bytes]])).toEqual([
    ["interop.Empty", []],
    ["example.com/other.Type", [1, 2, 3]],
  ]);
  expect(decodeStatusDetails("GgUKAw")).toBeUndefined();
});

describe("metadata", () => {
  function listOf(fields: ReadonlyArray<readonly [string, string]>): HeaderList {
    const list = new HeaderList();
    for (const [name, value] of fields) list.add(new HeaderField(name, value));
    return list;
  }

  function sent(metadata: Metadata): OutgoingField[] | string {
    const fields: OutgoingField[] = [];
    return appendMetadata(fields, metadata) ?? fields;
  }

  test("text and bytes go there and back, repeats and order kept", () => {
    const metadata = new Metadata({ a: ["1", "2"], "b-bin": Buffer.from([0, 255]), c: "" });
    const fields = sent(metadata) as OutgoingField[];
    const back = metadataOf(listOf(fields.map(({ name, value }) => [name, value]))) as Metadata;
    expect(back.size).toBe(4);
    expect([...back]).toEqual([...metadata]);
  });

  test("values joined on the way, padded or not, come apart", () => {
    const back = metadataOf(listOf([["x-bin", "AAE=,Ag,AwQF"]])) as Metadata;
    expect(back.getAll("x-bin")).toEqual([Buffer.from([0, 1]), Buffer.from([2]), Buffer.from([3, 4, 5])]);
    expect(metadataOf(listOf([["x-bin", "not base64!"]]))).toBe("x-bin");
  });

  test("names of gRPC, HTTP and ours are neither sent nor shown", () => {
    const all = {
      ...{ "grpc-status": "0", "mprpc-executed": "never", "content-type": "x", te: "y", "user-agent": "me" },
      ...{ host: "h", connection: "close", kept: "yes" },
    };
    expect(sent(new Metadata(all))).toEqual([{ name: "kept", value: "yes", indexing: "plain" }]);
    const came = metadataOf(
      listOf([
        ["content-type", "application/grpc"],
        ["grpc-encoding", "gzip"],
        ["grpc-trace-bin", "AA"],
        ["mprpc-executed", "never"],
        ["grpc-retry-pushback-ms", "100"],
        ["kept", "yes"],
      ]),
    ) as Metadata;
    expect([...came]).toEqual([
      ["grpc-retry-pushback-ms", "100"],
      ["kept", "yes"],
    ]);
  });

  test("what gRPC does not carry is refused, and why is said", () => {
    expect(sent(new Metadata({ a: Buffer.from([1]) }))).toContain('end in "-bin"');
    for (const value of ["é", " blank", "blank ", "a\nb", "\0"]) {
      expect(sent(new Metadata({ a: value }))).toContain("printable ASCII");
    }
    expect(sent(new Metadata({ authorization: "Bearer x" }))).toEqual([
      { name: "authorization", value: "Bearer x", indexing: "never" },
    ]);
  });
});

test("content types of gRPC and their formats", () => {
  const types = [
    "application/grpc",
    "application/grpc+proto",
    "application/grpc+json",
    "Application/gRPC; a=b",
  ];
  expect(types.map(formatOf)).toEqual(["proto", "proto", "json", "proto"]);
  expect(["application/grpc+thrift", "application/json", "application/grpc-web", ""].map(formatOf)).toEqual([
    ...[undefined, undefined, undefined, undefined],
  ]);
});

test("detection a byte at a time: HTTP/2, HTTP/1.1, neither", () => {
  const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  for (let i = 1; i < preface.length; i++) {
    expect(detectHttp(preface.subarray(0, i)).kind).toBe("need-more");
  }
  expect(detectHttp(preface)).toEqual({ kind: "match" });
  expect(detectHttp(Buffer.from("POST / HTTP/1.1\r\n"))).toEqual({ kind: "match", variant: "http/1.1" });
  expect(detectHttp(Buffer.from("PO")).kind).toBe("need-more");
  expect(detectHttp(Buffer.from("POX")).kind).toBe("no");
  expect(detectHttp(Buffer.from([0, 0, 0, 5])).kind).toBe("no");
});

describe("a body", () => {
  function framed(...parts: Buffer[]): Buffer {
    return Buffer.concat(
      parts.flatMap((part) => {
        const prefix = Buffer.alloc(5);
        prefix.writeUInt32BE(part.length, 1);
        return [prefix, part];
      }),
    );
  }

  function collected(maxBytes = 100_000, encoding = "identity") {
    const messages: string[] = [];
    const over = deferred<RpcError | undefined>("the end of the body");
    const body = new MessageBody(
      {
        onMessage: (buffer, start, end) => messages.push(buffer.toString("latin1", start, end)),
        onBodyEnd: () => over.resolve(undefined),
        onBodyFailure: (error) => over.resolve(error),
      },
      maxBytes,
      encoding,
    );
    return { messages, over: over.promise, body };
  }

  test("cut anywhere gives the same messages", async () => {
    const random = seeded(3);
    const parts = [0, 1, 200, 70_000, 5, 0].map((size, i) => Buffer.alloc(size, 97 + i));
    const bytes = framed(...parts);
    for (let round = 0; round < 50; round++) {
      const { messages, over, body } = collected();
      for (let at = 0; at < bytes.length; ) {
        const end = Math.min(bytes.length, at + 1 + Math.floor(random() ** 4 * 30_000));
        body.add(bytes, at, end);
        at = end;
      }
      body.end();
      expect(await over).toBeUndefined();
      expect(messages.map((text) => text.length)).toEqual(parts.map(({ length }) => length));
    }
  });

  test.each([
    ["a size over the limit", [0, 0, 2, 0, 0], "over the limit", 8],
    ["a flag that is none", [2, 0, 0, 0, 0], "begins with 2", 13],
    ["compressed without an encoding", [1, 0, 0, 0, 0], "grpc-encoding is identity", 13],
    ["cut off", [0, 0, 0, 0, 4, 1], "in the middle", 13],
  ])("%s fails", async (_name, bytes, text, code) => {
    const { over, body } = collected();
    body.add(Buffer.from(bytes), 0, bytes.length);
    body.end();
    expect(await over).toMatchObject({ code, rawMessage: expect.stringContaining(text) });
  });

  test("a bomb of gzip is not inflated beyond the limit, and what is no gzip fails", async () => {
    const { gzipSync } = await import("node:zlib");
    const bomb = framed(gzipSync(Buffer.alloc(50_000_000)));
    bomb[0] = 1;
    const over = collected(100_000, "gzip");
    over.body.add(bomb, 0, bomb.length);
    expect(await over.over).toMatchObject({ code: 8, rawMessage: expect.stringContaining("inflated") });
    const broken = collected(100_000, "gzip");
    const bytes = framed(Buffer.from("no gzip"));
    bytes[0] = 1;
    broken.body.add(bytes, 0, bytes.length);
    expect(await broken.over).toMatchObject({ code: 13 });
  });
});

test("metadata that come again with the same value go into the peer's table; others never do", () => {
  const repeated = new RepeatedMetadata();
  const send = (init: Record<string, string>): Array<string | undefined> => {
    const fields: OutgoingField[] = [];
    appendMetadata(fields, new Metadata(init), repeated);
    return fields.map(({ indexing }) => indexing);
  };
  expect(send({ tenant: "a", id: "1", authorization: "x" })).toEqual(["plain", "plain", "never"]);
  expect(send({ tenant: "a", id: "2", authorization: "x" })).toEqual(["table", "plain", "never"]);
  expect(send({ tenant: "a", id: "3", authorization: "x" })).toEqual(["table", "plain", "never"]);
  expect(send({ tenant: "b", id: "3" })).toEqual(["plain", "table"]);
});
