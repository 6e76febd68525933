import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Writer } from "../../../src/protobuf/writer.js";
import {
  type ClassicDialect,
  classicDialects,
  frameClassicReply,
  readClassicRequest,
  writeClassicRequest,
} from "../../../src/protocol/classic/classic-wire.js";
import { FrameEncoder } from "../../../src/protocol/mprpc/wire/frame-encoder.js";
import { Kind, settingsUnknown } from "../../../src/protocol/mprpc/wire/header.js";
import { detectProtocol } from "../detect/detectors.js";
import { encodedFrame, hex, vectors } from "../mprpc/wire/vectors.js";

const limit = 4 * 1024 * 1024;

function told(bytes: Buffer): string {
  const detection = detectProtocol(bytes);
  return detection.kind === "classic" ? detection.dialect : detection.kind;
}

const request = (dialect: ClassicDialect, service: string, method: string, args: Buffer): Buffer =>
  writeClassicRequest(dialect, service, method, (writer) => writer.raw(args));

/** As captured from running peers of the classic framework and its forks. */
const captured: Array<[ClassicDialect, string, string, string, string]> = [
  [
    "le32",
    "UserServiceRpc",
    "Login",
    "19000000 0a0e557365725365727669636552706312054c6f67696e 1813",
    "0a095a68616e672053616e 1206313233343536",
  ],
  [
    "le32",
    "UserServiceRpc",
    "Register",
    "1c000000 0a0e5573657253657276696365527063 1208 5265676973746572 1818",
    "08d00f 120c5a68616e672044756f64756f 1a053636363636",
  ],
  [
    "le32",
    "FriendServiceRpc",
    "GetFriendsList",
    "24000000 0a10467269656e6453657276696365527063 120e476574467269656e64734c697374 1802",
    "0801",
  ],
  [
    "framed",
    "UserServiceRpc",
    "Login",
    "0000002f 00000019 0a0e557365725365727669636552706312054c6f67696e 1812",
    "0a087a68616e6773616e 1206313233343536",
  ],
  [
    "varint",
    "UserServiceRpc",
    "Login",
    "19 0a0e557365725365727669636552706312054c6f67696e 1812",
    "0a087a68616e6773616e 1206313233343536",
  ],
];

describe.each(captured)("captured %s %s.%s", (dialect, service, method, head, args) => {
  const bytes = hex(head + args);

  test("is what the caller's side writes, byte for byte", () => {
    expect(request(dialect, service, method, hex(args)).toString("hex")).toBe(bytes.toString("hex"));
  });

  test("stands among the golden vectors", () => {
    expect(vectors.classic.map((vector) => vector.request)).toContain(bytes.toString("hex"));
  });

  test("is told from every prefix: more is needed until the header is there, then the dialect is known", () => {
    const headerEnd = hex(head).length;
    for (let end = 0; end <= bytes.length; end++) {
      expect(told(bytes.subarray(0, end))).toBe(end < headerEnd ? "need-more" : dialect);
    }
  });

  test("followed by more of the same, each is read where the last one ended", () => {
    const many = Buffer.concat([bytes, bytes, bytes]);
    expect(told(many)).toBe(dialect);
    let at = 0;
    for (let i = 0; i < 3; i++) {
      const result = readClassicRequest(many, at, dialect, limit);
      if (result.kind !== "request") throw new Error(result.kind);
      expect(result.request).toEqual({
        service,
        method,
        bodyStart: at + hex(head).length,
        bodyEnd: at + bytes.length,
      });
      at = result.end;
    }
    expect(at).toBe(many.length);
  });
});

const name = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,300}$/);
const service = fc
  .tuple(fc.array(name, { maxLength: 3 }), name)
  .map(([pkg, last]) => [...pkg, last].join("."));
const anyArgs = fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes));
const anyDialect = fc.constantFrom(...classicDialects);

describe("detection", () => {
  test("any names and arguments, headers below and above 128 bytes, in every dialect are told right", () => {
    const property = fc.property(anyDialect, service, name, anyArgs, fc.nat(), (dialect, s, m, args, cut) => {
      const bytes = request(dialect, s, m, args);
      expect(told(bytes)).toBe(dialect);
      expect(["need-more", dialect]).toContain(told(bytes.subarray(0, cut % bytes.length)));
    });
    fc.assert(property, { numRuns: 1000 });
  });

  test("header sizes around every length that moves or resembles a tell", () => {
    for (const headerSize of [
      6, 9, 10, 11, 12, 127, 128, 129, 255, 256, 2559, 2560, 2570, 2600, 16_383, 16_384, 65_535,
    ]) {
      for (const dialect of classicDialects) {
        const bytes = requestWithHeaderOf(headerSize, dialect);
        expect(told(bytes)).toBe(dialect);
        for (let end = 0; end < 12; end++)
          expect([dialect, "need-more"]).toContain(told(bytes.subarray(0, end)));
      }
    }
  });

  /** A request without arguments whose header takes `size` bytes. */
  function requestWithHeaderOf(size: number, dialect: ClassicDialect): Buffer {
    for (let length = Math.max(1, size - 12); length < size; length++) {
      for (const method of ["m", "mm", "mmm"]) {
        const bytes = request("le32", "S".repeat(length), method, Buffer.alloc(0));
        if (bytes.readUInt32LE(0) === size)
          return request(dialect, "S".repeat(length), method, Buffer.alloc(0));
      }
    }
    throw new Error(`no header of ${size} bytes`);
  }

  test("an mprpc/2 caller is told from its fifth byte, whatever its settings", () => {
    const number = fc.integer({ min: 0, max: 0xffff_ffff });
    const property = fc.property(number, number, number, fc.boolean(), (...numbers) => {
      const [bodyMaxBytes, maxInFlight, headerMaxBytes, chunks] = numbers;
      const encoder = new FrameEncoder();
      encoder.control(Kind.SETTINGS, 0, {
        settings: { ...settingsUnknown, bodyMaxBytes, maxInFlight, headerMaxBytes, chunks },
      });
      const bytes = encoder.writer.view();
      for (let end = 0; end <= bytes.length; end++) {
        expect(told(bytes.subarray(0, end))).toBe(end < 5 ? "need-more" : "mprpc");
      }
    });
    fc.assert(property, { numRuns: 50 });
  });

  test("any first frame with the kind in front is mprpc/2, headers up to 64 KiB", () => {
    for (const length of [1, 200, 5000, 65_000]) {
      expect(told(encodedFrame({ kind: "CALL", call_id: 1, idempotency_key: "k".repeat(length) }))).toBe(
        "mprpc",
      );
    }
  });

  test.each([
    ["GET / HTTP/1.1\r\n\r\n"],
    ["POST /x HTTP/1.1\r\n\r\n"],
    ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    ["\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],
    ["SSH-2.0-OpenSSH_9.2\r\n"],
    ["*1\r\n$4\r\nPING\r\n"],
    ["ruok\n\n\n\n\n\n\n\n"],
  ])("%j is refused within its first 8 bytes, and nothing before says otherwise", (text) => {
    const bytes = Buffer.from(text, "latin1");
    const results = [...bytes.keys()].map((end) => told(bytes.subarray(0, end)));
    expect(results.slice(8).every((result) => result === "refused")).toBe(true);
    expect(results.every((result) => result === "refused" || result === "need-more")).toBe(true);
    const refused = detectProtocol(bytes);
    expect(refused).toMatchObject({ reason: expect.stringContaining(bytes.subarray(0, 8).toString("hex")) });
  });

  test.each([
    ["GET / HTTP/1.1\r\n\r\n", '"GET / HTTP/1.1...." (HTTP) are no known protocol'],
    ["\x16\x03\x01\x02\x00\x01", '"......" (TLS) are no known protocol'],
    ["*1\r\n$4\r\nPING\r\n", '"*1..$4..PING.." are no known protocol'],
  ])("%j is told as text, too", (text, told) => {
    expect(detectProtocol(Buffer.from(text, "latin1"))).toMatchObject({
      reason: expect.stringContaining(told),
    });
  });

  test("printable text is never taken for a caller", () => {
    const text = fc.string({ unit: fc.integer({ min: 32, max: 126 }).map((c) => String.fromCharCode(c)) });
    fc.assert(fc.property(text, (s) => !["mprpc", ...classicDialects].includes(told(Buffer.from(s)))));
  });

  test("random bytes are taken for a classic caller only when a whole header parses", () => {
    const property = fc.property(fc.uint8Array({ maxLength: 64 }), (array) => {
      const bytes = Buffer.from(array);
      const detection = detectProtocol(bytes);
      if (detection.kind !== "classic") return;
      const result = readClassicRequest(bytes, 0, detection.dialect, 0xffff_ffff);
      expect(result.kind === "malformed" && result.reason !== "its total length and args_size disagree").toBe(
        false,
      );
    });
    fc.assert(property, { numRuns: 3000 });
  });

  test("a decision comes within 64 KiB: no bytes keep the question open longer", () => {
    const long = Buffer.alloc(70_000, 0x61);
    for (const head of ["ffff0000 0a", "0000ffff 0a", "ffff03 0a", "00fffff0 0000ffff 0a"]) {
      const lead = hex(`${head} c0ff03`);
      expect(told(Buffer.concat([lead, long.subarray(0, 1000)]))).toBe("need-more");
      expect(told(Buffer.concat([lead, long]))).toBe("refused");
    }
  });

  test("the name that has begun to arrive must be one", () => {
    expect(told(hex("19000000 0a0e 55736572"))).toBe("need-more");
    expect(told(hex("19000000 0a0e 55732072"))).toBe("refused");
    expect(told(hex("19000000 0a00"))).toBe("refused");
    expect(told(hex("19000000 0a7f"))).toBe("refused");
    expect(told(hex("19000000 1205"))).toBe("need-more");
    expect(told(hex("19000000 2205"))).toBe("refused");
  });
});

describe("requests", () => {
  test("any request, and the bytes behind it, in every dialect; never before its last byte", () => {
    const property = fc.property(
      anyDialect,
      service,
      name,
      anyArgs,
      anyArgs,
      fc.nat(20),
      (dialect, s, m, args, behind, before) => {
        const bytes = request(dialect, s, m, args);
        const stream = Buffer.concat([Buffer.alloc(before, 0xee), bytes, behind]);
        const result = readClassicRequest(stream, before, dialect, limit);
        if (result.kind !== "request") throw new Error(JSON.stringify(result));
        expect(result.request).toMatchObject({ service: s, method: m });
        expect(stream.subarray(result.request.bodyStart, result.request.bodyEnd)).toEqual(args);
        expect(result.end).toBe(before + bytes.length);
        for (let end = before; end < before + bytes.length; end += 1 + Math.floor(bytes.length / 40)) {
          const early = readClassicRequest(stream.subarray(0, end), before, dialect, limit);
          if (early.kind !== "need-more") throw new Error(JSON.stringify(early));
          // What it asks for is more than there is, and never more than there will be.
          expect(early.bytes).toBeGreaterThan(end - before);
          expect(early.bytes).toBeLessThanOrEqual(bytes.length);
        }
      },
    );
    fc.assert(property, { numRuns: 300 });
  });

  test("random bytes never throw, nor ask for more than the limits allow", () => {
    const property = fc.property(anyDialect, fc.uint8Array({ maxLength: 80 }), (dialect, array) => {
      const result = readClassicRequest(Buffer.from(array), 0, dialect, 1000);
      if (result.kind === "need-more") expect(result.bytes).toBeLessThanOrEqual(8 + 65_535 + 1000);
      if (result.kind === "request") expect(result.end).toBeLessThanOrEqual(array.length);
    });
    fc.assert(property, { numRuns: 3000 });
  });

  test("the header's fields may come in any order, the size of no arguments written or not", () => {
    for (const header of ["1202 6d6d 0a01 53", "1800 1202 6d6d 0a01 53", "0a01 53 1800 1202 6d6d"]) {
      const body = hex(header);
      const lead = Buffer.alloc(4);
      lead.writeUInt32BE(body.length);
      const result = readClassicRequest(Buffer.concat([lead, body]), 0, "be32", limit);
      expect(result).toMatchObject({ kind: "request", request: { service: "S", method: "mm" } });
    }
  });

  test("fields that only a fork has are passed over, wherever they stand", () => {
    const extra = fc.oneof(
      fc.tuple(
        fc.integer({ min: 4, max: 0x1fff_ffff }),
        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        fc.constant(0),
      ),
      fc.tuple(fc.integer({ min: 4, max: 0x1fff_ffff }), fc.constant(7n), fc.constantFrom(1, 5)),
      fc.tuple(fc.integer({ min: 4, max: 0x1fff_ffff }), fc.bigInt({ min: 0n, max: 300n }), fc.constant(2)),
    );
    const property = fc.property(
      anyDialect,
      service,
      name,
      anyArgs,
      fc.array(extra, { maxLength: 6 }),
      fc.nat(),
      (dialect, s, m, args, extras, order) => {
        const own = [
          new Writer().uint32(0x0a).string(s).finish(),
          new Writer().uint32(0x12).string(m).finish(),
          new Writer().uint32(0x18).uint32(args.length).finish(),
        ];
        const others = extras.map(([field, value, wireType]) => {
          const writer = new Writer().uint32(((field << 3) | wireType) >>> 0);
          if (wireType === 0) writer.uint64(value);
          else if (wireType === 1) writer.fixed64(value);
          else if (wireType === 5) writer.fixed32(Number(value));
          else writer.bytes(Buffer.alloc(Number(value), 0xee));
          return writer.finish();
        });
        // One of its own comes first; the others anywhere.
        const first = own.splice(order % 3, 1);
        const rest = [...others, ...own].sort(
          (a, b) => ((a.length * 7 + order) % 5) - ((b.length * 7 + order) % 5),
        );
        const bytes = framedBy(dialect, Buffer.concat([...first, ...rest]), args);
        expect(told(bytes)).toBe(dialect);
        const result = readClassicRequest(bytes, 0, dialect, limit);
        expect(result).toMatchObject({
          kind: "request",
          end: bytes.length,
          request: { service: s, method: m },
        });
        for (let end = 0; end < bytes.length - args.length; end += 7) {
          expect(["need-more", dialect]).toContain(told(bytes.subarray(0, end)));
        }
      },
    );
    fc.assert(property, { numRuns: 500 });
  });

  /** A header as the dialect puts it in front of the arguments. */
  function framedBy(dialect: ClassicDialect, header: Buffer, args: Buffer): Buffer {
    const lead = Buffer.alloc(dialect === "framed" ? 8 : 4);
    if (dialect === "varint")
      return Buffer.concat([new Writer().uint32(header.length).finish(), header, args]);
    if (dialect === "le32") lead.writeUInt32LE(header.length);
    else lead.writeUInt32BE(header.length, lead.length - 4);
    if (dialect === "framed") lead.writeUInt32BE(4 + header.length + args.length);
    return Buffer.concat([lead, header, args]);
  }

  test("noise is none of them: our own later frames, and random bytes behind every tell", () => {
    const noise = fc.property(
      fc.constantFrom("19000000", "00000019", "19", "0000002f00000019"),
      fc.constantFrom(0x0a, 0x12, 0x18),
      fc.uint8Array({ minLength: 40, maxLength: 80 }),
      (lead, tag, array) => {
        const bytes = Buffer.concat([hex(lead), Buffer.of(tag), Buffer.from(array)]);
        const detection = detectProtocol(bytes);
        if (detection.kind !== "classic") return;
        // By chance: then all of it is a header, to the last byte.
        expect(readClassicRequest(bytes, 0, detection.dialect, 0xffff_ffff).kind).not.toBe("malformed");
      },
    );
    fc.assert(noise, { numRuns: 3000 });
    for (const kind of ["REPLY", "CANCEL", "PING", "GOING_AWAY"]) {
      const bytes = encodedFrame({ kind, call_id: 128 });
      for (const dialect of classicDialects) {
        expect(readClassicRequest(bytes, 0, dialect, limit).kind).not.toBe("request");
      }
    }
  });

  test("arguments over the limit are refused before they arrive, and the reason names limit and key", () => {
    const bytes = request("le32", "S", "m", Buffer.alloc(101));
    const head = bytes.subarray(0, bytes.length - 101);
    expect(readClassicRequest(head, 0, "le32", 101)).toMatchObject({ kind: "need-more" });
    expect(readClassicRequest(head, 0, "le32", 100)).toEqual({
      kind: "malformed",
      reason: "101 bytes of arguments are over the limit of 100 (limits.body)",
    });
  });

  test.each([-1, 1, 4, -4])("a framed total that is off by %i is malformed", (by) => {
    const bytes = request("framed", "UserServiceRpc", "Login", hex("0801"));
    bytes.writeUInt32BE(bytes.readUInt32BE(0) + by);
    const stream = Buffer.concat([bytes, Buffer.alloc(10)]);
    expect(readClassicRequest(stream, 0, "framed", limit).kind).toBe("malformed");
  });
});

test("replies: a length in front in the framed dialect, the bare message in all others", () => {
  const body = hex("0a001001");
  for (const dialect of ["le32", "be32", "varint"] as const)
    expect(frameClassicReply(dialect, body)).toBe(body);
  expect(frameClassicReply("framed", body).toString("hex")).toBe("000000040a001001");
  expect(frameClassicReply("framed", Buffer.alloc(0)).toString("hex")).toBe("00000000");
});
