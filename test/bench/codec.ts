/**
 * The generated codec beside protobufjs's own, in one run: `npx tsx test/bench/codec.ts`.
 * Rounds alternate and medians are printed, since the machine's speed wanders.
 */
import { mkdtemp, rm } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { decodeMessage, encodeMessage, type MessageType, Reader, Writer } from "mprpc/codec";
import protobuf from "protobufjs";
import { generate, writeGenerated } from "../../src/codegen/index.js";

const here = fileURLToPath(new URL("./", import.meta.url));
const protos = path.join(here, "../../example/proto");
const rounds = 15;
const roundMs = 60;

interface Rival {
  name: string;
  run(): unknown;
}

/** Millions of runs a second. */
function measure({ run }: Rival): number {
  let count = 0;
  let kept: unknown;
  const start = performance.now();
  let now = start;
  while (now - start < roundMs) {
    for (let i = 0; i < 2_000; i++) kept = run();
    count += 2_000;
    now = performance.now();
  }
  if (kept === null) throw new Error("unreachable, but keeps the result alive");
  return count / (now - start) / 1_000;
}

function median(values: number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
}

function compare(title: string, rivals: Rival[]): void {
  const results = rivals.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, rival] of rivals.entries()) results[i]?.push(measure(rival));
  }
  const speeds = results.map(median);
  const base = speeds.at(-1) ?? 1;
  console.log(title);
  for (const [i, { name }] of rivals.entries()) {
    const speed = speeds[i] ?? 0;
    console.log(`  ${name.padEnd(44)} ${speed.toFixed(2).padStart(7)} M/s  x ${(speed / base).toFixed(2)}`);
  }
}

const folder = await mkdtemp(path.join(here, ".codec-"));
try {
  const files = await generate([path.join(protos, "user.proto"), path.join(protos, "friend.proto")]);
  await writeGenerated(files, folder);
  const root = new protobuf.Root().loadSync(
    ["user.proto", "friend.proto"].map((file) => path.join(protos, file)),
  );
  const cases: Array<[name: string, file: string, ours: object, theirs: object]> = [
    [
      "LoginRequest",
      "user.ts",
      { name: Buffer.from("zhangsan"), pwd: Buffer.from("12345678") },
      { name: Buffer.from("zhangsan"), pwd: Buffer.from("12345678") },
    ],
    [
      "LoginResponse",
      "user.ts",
      { result: { errcode: 0, errmsg: Buffer.alloc(0) }, success: true },
      { result: { errcode: 0, errmsg: Buffer.alloc(0) }, success: true },
    ],
    [
      "GetFriendsListResponse",
      "friend.ts",
      { result: { errcode: 7 }, friends: ["zhang san", "li si", "wang wu"].map((name) => Buffer.from(name)) },
      { result: { errcode: 7 }, friends: ["zhang san", "li si", "wang wu"].map((name) => Buffer.from(name)) },
    ],
  ];
  for (const [name, file, ours, theirs] of cases) {
    const module = await import(pathToFileURL(path.join(folder, file)).href);
    const type: MessageType = module[name];
    const rival = root.lookupType(`fixbug.${name}`);
    const bytes = encodeMessage(type, ours);
    const message = rival.fromObject(theirs);
    const writer = new Writer(64 * 1024);
    const reader = new Reader();
    compare(`${name}, ${bytes.length} bytes, encode`, [
      {
        name: "generated, into a shared buffer",
        run: () => {
          if (writer.position > 60_000) writer.clear();
          type.encode(ours, writer);
          return writer.position;
        },
      },
      { name: "generated, encodeMessage", run: () => encodeMessage(type, ours) },
      { name: "protobufjs, encode().finish()", run: () => rival.encode(message).finish() },
    ]);
    compare(`${name}, ${bytes.length} bytes, decode`, [
      {
        name: "generated, from a shared buffer",
        run: () => type.decode(reader.reset(bytes, 0, bytes.length), bytes.length),
      },
      { name: "generated, decodeMessage", run: () => decodeMessage(type, bytes) },
      { name: "protobufjs, decode()", run: () => rival.decode(bytes) },
    ]);
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
