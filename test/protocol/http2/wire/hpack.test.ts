import { expect, test } from "vitest";
import { Writer } from "../../../../src/protobuf/writer.js";
import { HeaderKind, HeaderList } from "../../../../src/protocol/http2/wire/header-field.js";
import { HpackDecoder } from "../../../../src/protocol/http2/wire/hpack-decoder.js";
import { HpackEncoder } from "../../../../src/protocol/http2/wire/hpack-encoder.js";
import {
  huffmanBytes,
  huffmanDecode,
  huffmanDecodedMaxBytes,
  huffmanEncode,
} from "../../../../src/protocol/http2/wire/huffman.js";

const limits = { listMaxBytes: 64 * 1024, fieldsMax: 512 };

function decoded(decoder: HpackDecoder, hex: string): Array<[string, string]> {
  const bytes = Buffer.from(hex.replaceAll(" ", ""), "hex");
  const list = new HeaderList();
  expect(decoder.decode(bytes, 0, bytes.length, list)).toBeUndefined();
  return list.slice().map(({ name, value }) => [name, value]);
}

function wrong(hex: string, tableMaxBytes = 4096): string | undefined {
  const bytes = Buffer.from(hex.replaceAll(" ", ""), "hex");
  return new HpackDecoder(limits, tableMaxBytes).decode(bytes, 0, bytes.length, new HeaderList());
}

const firstRequest: Array<[string, string]> = [
  [":method", "GET"],
  [":scheme", "http"],
  [":path", "/"],
  [":authority", "www.example.com"],
];
const secondRequest: Array<[string, string]> = [...firstRequest, ["cache-control", "no-cache"]];
const thirdRequest: Array<[string, string]> = [
  [":method", "GET"],
  [":scheme", "https"],
  [":path", "/index.html"],
  [":authority", "www.example.com"],
  ["custom-key", "custom-value"],
];

test("the examples of RFC 7541, C.2: single fields", () => {
  const fresh = () => new HpackDecoder(limits, 4096);
  expect(decoded(fresh(), "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572")).toEqual([
    ["custom-key", "custom-header"],
  ]);
  expect(decoded(fresh(), "040c 2f73 616d 706c 652f 7061 7468")).toEqual([[":path", "/sample/path"]]);
  expect(decoded(fresh(), "1008 7061 7373 776f 7264 0673 6563 7265 74")).toEqual([["password", "secret"]]);
  expect(decoded(fresh(), "82")).toEqual([[":method", "GET"]]);
});

test.each([
  [
    "C.3, as they are",
    [
      "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
      "8286 84be 5808 6e6f 2d63 6163 6865",
      "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ],
  ],
  [
    "C.4, Huffman coded",
    [
      "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
      "8286 84be 5886 a8eb 1064 9cbf",
      "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ],
  ],
])("the examples of RFC 7541, %s: requests on one connection", (_, [first, second, third]) => {
  const decoder = new HpackDecoder(limits, 4096);
  expect(decoded(decoder, first as string)).toEqual(firstRequest);
  expect(decoded(decoder, second as string)).toEqual(secondRequest);
  expect(decoded(decoder, third as string)).toEqual(thirdRequest);
});

test("the examples of RFC 7541, C.6: a table of 256 bytes lets old entries go", () => {
  const decoder = new HpackDecoder(limits, 256);
  const [cacheControl, location] = [
    ["cache-control", "private"],
    ["location", "https://www.example.com"],
  ] as const;
  const first =
    "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3";
  const date = "Mon, 21 Oct 2013 20:13:21 GMT";
  expect(decoded(decoder, first)).toEqual([[":status", "302"], cacheControl, ["date", date], location]);
  expect(decoded(decoder, "4883 640e ffc1 c0bf")).toEqual([
    [":status", "307"],
    cacheControl,
    ["date", date],
    location,
  ]);
  const third =
    "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07";
  expect(decoded(decoder, third)).toEqual([
    [":status", "200"],
    cacheControl,
    ["date", "Mon, 21 Oct 2013 20:13:22 GMT"],
    location,
    ["content-encoding", "gzip"],
    ["set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"],
  ]);
});

test("Huffman code of every byte, and of pairs of them, comes back", () => {
  const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i)).toString("latin1");
  for (const text of [all, ...[...all].map((one) => one), ...[...all].map((one) => `a${one}~`), ""]) {
    const coded = Buffer.alloc(huffmanBytes(text));
    expect(huffmanEncode(text, coded, 0)).toBe(coded.length);
    const target = Buffer.alloc(huffmanDecodedMaxBytes(coded.length));
    const count = huffmanDecode(coded, 0, coded.length, target);
    expect(target.toString("latin1", 0, count)).toBe(text);
  }
});

test.each([
  ["EOS in a text", "0085 ffff fffc ff 00"],
  ["padding of more than seven bits", "0083 1fff ff 00"],
  ["padding of zeros", "0081 18 00"],
  ["index 0", "80"],
  ["an index behind the tables", "c6"],
  ["a name's index behind the tables", "7f 20 00"],
  ["a cut integer", "ff"],
  ["an integer that is too large", "ff ffff ffff 0f"],
  ["an integer of endless zeros", "ff 8080 8080 8080 8080 00"],
  ["a cut name", "00 05 61"],
  ["a cut value", "00 01 61 05 62"],
  ["no value at all", "00 01 61"],
  ["a table size over the limit", "3f e2 1f"],
  ["a table size behind a field", "82 20"],
])("malformed: %s", (_, hex) => {
  expect(wrong(hex)).toBeTypeOf("string");
});

test("table sizes at the beginning of a block are obeyed", () => {
  const decoder = new HpackDecoder(limits, 4096);
  decoded(decoder, "4001 6101 62");
  expect(decoded(decoder, "be")).toEqual([["a", "b"]]);
  expect(decoded(decoder, "20 3f e1 1f 82")).toEqual([[":method", "GET"]]);
  const bytes = Buffer.from("be", "hex");
  expect(decoder.decode(bytes, 0, 1, new HeaderList())).toContain("62");
});

test("a list over the limits is read to its end, and the table stays in step", () => {
  const decoder = new HpackDecoder({ listMaxBytes: 100, fieldsMax: 2 }, 4096);
  const list = new HeaderList();
  const bytes = Buffer.from(`${"82".repeat(10)}4001610162`, "hex");
  expect(decoder.decode(bytes, 0, bytes.length, list)).toBeUndefined();
  expect(list).toMatchObject({ tooLarge: true, count: 2 });
  expect(decoded(decoder, "be")).toEqual([["a", "b"]]);
});

test("what was found out about a field stays with its entry of the table", () => {
  const decoder = new HpackDecoder(limits, 4096);
  const list = new HeaderList();
  const path = Buffer.from("44 02 2f61".replaceAll(" ", ""), "hex");
  decoder.decode(path, 0, path.length, list);
  const [field] = list.slice();
  expect(field?.kind).toBe(HeaderKind.PATH);
  decoder.decode(Buffer.from("be", "hex"), 0, 1, list);
  expect(list.fields[0]).toBe(field);
});

test.each([
  ["an upper case name", [["Name", "x"]]],
  ["a name with a blank", [["na me", "x"]]],
  ["an empty name", [["", "x"]]],
  ["a value with a line break", [["name", "x\r\ny"]]],
  ["a value with a blank in front", [["name", " x"]]],
  ["a value with a blank at the end", [["name", "x\t"]]],
  ["an unknown pseudo field", [[":other", "x"]]],
  [
    "a pseudo field behind others",
    [
      ["name", "x"],
      [":path", "/"],
    ],
  ],
  [
    "a pseudo field twice",
    [
      [":path", "/"],
      [":path", "/"],
    ],
  ],
  ["connection", [["connection", "close"]]],
  ["transfer-encoding", [["transfer-encoding", "chunked"]]],
  ["te that is not trailers", [["te", "gzip"]]],
  ["an empty path", [[":path", ""]]],
])("a message is malformed with %s", (_, fields) => {
  const out = new Writer();
  new HpackEncoder().encode(
    out,
    undefined,
    fields.map(([name = "", value = ""]) => ({ name, value })),
  );
  const list = new HeaderList();
  expect(new HpackDecoder(limits, 4096).decode(out.view(), 0, out.position, list)).toBeUndefined();
  expect(list.fault).toBeTypeOf("string");
});

test("prepared fields cost a byte or two once the peer has them, wherever they move in its table", () => {
  const [encoder, decoder] = [new HpackEncoder(), new HpackDecoder(limits, 4096)];
  const head = encoder.prepare([
    { name: ":status", value: "200", indexing: "table" },
    { name: "content-type", value: "application/grpc", indexing: "table" },
  ]);
  const tail = encoder.prepare([{ name: "grpc-status", value: "0", indexing: "table" }]);
  const send = (...extra: Array<[string, string]>): number => {
    let bytes = 0;
    for (const [prepared, more] of [
      [head, extra],
      [tail, []],
    ] as const) {
      const out = new Writer();
      const fields = more.map(([name, value]) => ({ name, value, indexing: "table" as const }));
      encoder.encode(out, prepared, fields);
      bytes += out.position;
      const all = [...prepared.fields, ...fields].map(({ name, value }) => [name, value]);
      expect(decoded(decoder, out.view().toString("hex"))).toEqual(all);
    }
    return bytes;
  };
  expect(send()).toBeGreaterThan(15);
  expect(send()).toBe(3);
  for (let i = 0; i < 20; i++) send(["x-number", String(i)]);
  expect(send()).toBe(3);
  encoder.setTableMax(0);
  expect(send()).toBeGreaterThan(15);
  encoder.setTableMax(4096);
  send();
  expect(send()).toBe(3);
});

test("a table that is full is emptied after a while, so that new fields find room", () => {
  const [encoder, decoder] = [new HpackEncoder(), new HpackDecoder(limits, 4096)];
  let bytes = 0;
  const send = (value: string): void => {
    const out = new Writer();
    encoder.encode(out, undefined, [{ name: "token", value, indexing: "table" }]);
    bytes = out.position;
    expect(decoded(decoder, out.view().toString("hex"))).toEqual([["token", value]]);
  };
  for (let i = 0; i < 10; i++) send(`${i}`.repeat(1000));
  send("x".repeat(1000));
  expect(bytes).toBeGreaterThan(500);
  for (let i = 0; i < 1100; i++) send("x".repeat(1000));
  expect(bytes).toBe(1);
});

test("the name of a value that differs each time is sent once, and secrets are marked", () => {
  const encoder = new HpackEncoder();
  const bytes = (value: string): number => {
    const out = new Writer();
    encoder.encode(out, undefined, [{ name: "grpc-timeout", value, indexing: "name" }]);
    return out.position;
  };
  expect(bytes("99m")).toBeGreaterThan(10);
  expect(bytes("98m")).toBe(6);
  const out = new Writer();
  encoder.encode(out, undefined, [{ name: "authorization", value: "s", indexing: "never" }]);
  expect(out.view().toString("hex")).toBe("1f080173");
});
