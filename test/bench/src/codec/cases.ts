import type { MessageType } from "mprpc/codec";
import {
  Blob,
  Choice,
  Enums,
  Floats,
  Login,
  Logins,
  Longs,
  MessageTables,
  Nested,
  type NestedInput,
  Numbers,
  State,
  Tables,
  Text,
  Wide,
  type WideInput,
} from "../gen/codec.js";

/** One message every codec encodes and decodes. */
export interface Case {
  /** How the table calls it. */
  name: string;
  type: MessageType;
  message: unknown;
  json: JsonForm<unknown>;
}

/** What JSON carries of a message: base64 for bytes, text for 64-bit numbers, an object for a map. */
interface JsonForm<Out> {
  to(message: Out): unknown;
  from(json: unknown): unknown;
}

const itself: JsonForm<unknown> = { to: (message) => message, from: (json) => json };

function caseOf<Out, In>(
  name: string,
  type: MessageType<Out, In>,
  input: In,
  json: JsonForm<Out> = itself,
): Case {
  return { name, type: type as MessageType, message: type.create(input), json: json as JsonForm<unknown> };
}

const login = (i: number) => ({ name: `user-${i}`, pwd: "123456", version: i, remember: i % 2 === 0 });

const range = <T>(count: number, of: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => of(i));

/** `depth` messages, each in the one before. */
function nested(depth: number): NestedInput {
  const child = depth > 1 ? nested(depth - 1) : undefined;
  return { id: depth, name: `level ${depth}`, child };
}

/** Bytes of every value, so that no codec is lucky with them. */
const blob = (bytes: number) => ({
  data: Buffer.from(Uint8Array.from({ length: bytes }, (_, i) => (i * 7) & 255)),
});

const blobJson: JsonForm<Blob> = {
  to: ({ data }) => ({ data: data.toString("base64") }),
  from: (json) => ({ data: Buffer.from((json as { data: string }).data, "base64") }),
};

const tablesJson: JsonForm<Tables> = {
  to: ({ counts }) => ({ counts: Object.fromEntries(counts) }),
  from: (json) => ({ counts: new Map(Object.entries((json as { counts: object }).counts)) }),
};

const messageTablesJson: JsonForm<MessageTables> = {
  to: ({ logins }) => ({ logins: Object.fromEntries(logins) }),
  from: (json) => {
    const { logins } = json as { logins: Record<string, Login> };
    return { logins: new Map(Object.entries(logins).map(([key, value]) => [Number(key), value])) };
  },
};

const longs: Longs = {
  id: 1n << 40n,
  size: 123_456_789_012n,
  delta: -987_654_321n,
  hash: 0xfedc_ba98_7654_3210n,
  offset: -(1n << 61n),
  history: range(10, (i) => BigInt(i) * 1_700_000_000_123n),
};

const longsJson: JsonForm<Longs> = {
  to: ({ id, size, delta, hash, offset, history }) => ({
    id: String(id),
    size: String(size),
    delta: String(delta),
    hash: String(hash),
    offset: String(offset),
    history: history.map(String),
  }),
  from: (json) => {
    const { id, size, delta, hash, offset, history } = json as Record<string, string> & { history: string[] };
    return {
      id: BigInt(id ?? 0),
      size: BigInt(size ?? 0),
      delta: BigInt(delta ?? 0),
      hash: BigInt(hash ?? 0),
      offset: BigInt(offset ?? 0),
      history: history.map(BigInt),
    };
  },
};

/** 50 fields in turn an int32, a string, a bool, a double and a uint32, as `Wide` has them. */
function wide(): WideInput {
  const value = (i: number) => [i * 1000, `field ${i}`, true, i / 3, i][(i - 1) % 5];
  return Object.fromEntries(range(50, (i) => [`f${i + 1}`, value(i + 1)])) as WideInput;
}

const states = [State.STATE_WAITING, State.STATE_RUNNING, State.STATE_DONE, State.STATE_FAILED];

export function codecCases(): Case[] {
  const enums = {
    before: State.STATE_WAITING,
    after: State.STATE_DONE,
    history: range(20, (i) => states[i % 4] ?? 0),
  };
  return [
    caseOf("Login", Login, login(7)),
    caseOf("string, 8 ASCII", Text, { text: "zhangsan" }),
    caseOf("string, 1,000 ASCII", Text, { text: "0123456789".repeat(100) }),
    caseOf("string, 8 CJK", Text, { text: "你好世界你好世界" }),
    caseOf("string, 300 CJK", Text, { text: "你好世界".repeat(75) }),
    caseOf("bytes, 16 B", Blob, blob(16), blobJson),
    caseOf("bytes, 4 KiB", Blob, blob(4096), blobJson),
    caseOf("bytes, 1 MiB", Blob, blob(1 << 20), blobJson),
    caseOf("nested, 5 deep", Nested, nested(5)),
    caseOf("1,000 packed int32", Numbers, { values: range(1000, (i) => (i * 7919) % 1_000_000) }),
    caseOf("100 messages", Logins, { logins: range(100, login) }),
    caseOf("map, 100 numbers", Tables, { counts: new Map(range(100, (i) => [`key-${i}`, i])) }, tablesJson),
    caseOf(
      "map, 100 messages",
      MessageTables,
      { logins: new Map(range(100, (i) => [i, login(i)])) },
      messageTablesJson,
    ),
    caseOf("64-bit integers", Longs, longs, longsJson),
    caseOf("enums", Enums, enums),
    caseOf("floats", Floats, { ratio: 0.5, samples: range(20, (i) => i / 7) }),
    caseOf("oneof", Choice, { kind: { case: "login", value: login(3) } }),
    caseOf("50 fields", Wide, wide()),
  ];
}
