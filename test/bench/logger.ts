/**
 * What a log call costs the calling thread, beside bare pino: `node --import tsx test/bench/logger.ts`.
 *
 * Each case logs bursts of 100 lines, one burst per turn of the event loop, to a file. "call" is the time inside the log
 * calls alone, "thread" all the time the event loop was busy: handing over, flushing. Nanoseconds per line, the best of
 * alternating rounds, because whatever else the machine does only adds to them.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { pino } from "pino";
import { createLogger } from "../../src/logger/queue-logger.js";

const burst = 100;
const turns = 300;
const rounds = 15;

interface Case {
  name: string;
  log(n: number): void;
  flush?(): Promise<unknown>;
}

const dir = mkdtempSync(join(tmpdir(), "mprpc-bench-logger-"));
const facts = (n: number) => ({ method: "fixbug.UserServiceRpc.Login", elapsedMs: n });

function ours(format: "json" | "classic", withFields: boolean, redact: string[] = []): Case {
  const options = { dir, file: `${format}.log`, format, maxBytes: 0, redact, overflow: "block" } as const;
  const logger = createLogger(options);
  const log = withFields
    ? (n: number) => logger.info("call served", facts(n))
    : () => logger.info("call served");
  const name = `mprpc ${format}${withFields ? ", 2 fields" : ""}${redact.length > 0 ? ", redact" : ""}`;
  return { name, log, flush: () => logger.flush() };
}

function pinoCase(name: string, destination: pino.DestinationStream, withFields: boolean): Case {
  const logger = pino({}, destination);
  const log = withFields
    ? (n: number) => logger.info(facts(n), "call served")
    : () => logger.info("call served");
  return { name: `${name}${withFields ? ", 2 fields" : ""}`, log };
}

function cases(): Case[] {
  const file = (name: string) => join(dir, name);
  const nowhere = { write() {} };
  const worker = { target: "pino/file", options: { destination: file("worker") } };
  const quiet = createLogger({ dir, level: "warn" });
  const quietPino = pino({ level: "warn" }, nowhere);
  return [
    { name: "mprpc, level off", log: () => quiet.info("call served") },
    { name: "pino, level off", log: () => quietPino.info("call served") },
    ...[false, true].flatMap((fields) => [
      ours("json", fields),
      ours("classic", fields),
      pinoCase("pino, no destination", nowhere, fields),
      pinoCase("pino, sync file", pino.destination({ dest: file("sync"), sync: true }), fields),
      pinoCase(
        "pino, async file",
        pino.destination({ dest: file("async"), sync: false, minLength: 4096 }),
        fields,
      ),
      pinoCase("pino, worker transport", pino.transport(worker), fields),
    ]),
    ours("json", true, ["pwd", "*.pwd"]),
  ];
}

async function measure({ log, flush }: Case): Promise<{ callNs: number; threadNs: number }> {
  await flush?.();
  const before = performance.eventLoopUtilization();
  let callMs = 0;
  for (let turn = 0; turn < turns; turn += 1) {
    await new Promise(setImmediate);
    const start = performance.now();
    for (let n = 0; n < burst; n += 1) log(n);
    callMs += performance.now() - start;
  }
  await new Promise(setImmediate);
  const { active } = performance.eventLoopUtilization(before);
  const perLine = 1e6 / (burst * turns);
  return { callNs: callMs * perLine, threadNs: active * perLine };
}

const all = cases();
const results = new Map(all.map(({ name }) => [name, { call: [] as number[], thread: [] as number[] }]));
for (let round = 0; round < rounds; round += 1) {
  for (const one of all) {
    const { callNs, threadNs } = await measure(one);
    results.get(one.name)?.call.push(callNs);
    results.get(one.name)?.thread.push(threadNs);
  }
}
console.log("ns per line".padEnd(36), "call".padStart(8), "thread".padStart(8));
for (const [name, { call, thread }] of results) {
  const figures = [Math.min(...call), Math.min(...thread)].map((ns) => ns.toFixed(0).padStart(8));
  console.log(name.padEnd(36), ...figures);
}
process.on("exit", () => rmSync(dir, { recursive: true, force: true }));
process.exit();
