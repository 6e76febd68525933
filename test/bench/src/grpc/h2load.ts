import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { allowedCores, Child } from "../child.js";
import type { Answers, Request } from "../protocol.js";
import type { TargetName } from "../target.js";
import { windowOf } from "../window.js";

/** What h2load made of a provider, by the provider's own count of the calls it answered. */
export interface H2loadMeasurement {
  callsPerSecond: number;
  serverCpuUsPerCall: number;
}

function unpackedRoot(): string {
  const { MPRPC_TEST_CACHE, XDG_CACHE_HOME } = process.env;
  const cache = MPRPC_TEST_CACHE || path.join(XDG_CACHE_HOME || path.join(homedir(), ".cache"), "mprpc-test");
  return path.join(cache, "debian", "root", "usr");
}

/** The program, and where its libraries are when it is not installed; undefined: it is not there. */
export function findH2load(): { program: string; libraryPath: string } | undefined {
  if (existsSync("/usr/bin/h2load")) return { program: "/usr/bin/h2load", libraryPath: "" };
  const usr = unpackedRoot();
  const program = path.join(usr, "bin", "h2load");
  if (!existsSync(program)) return undefined;
  const lib = path.join(usr, "lib");
  const folders = readdirSync(lib).filter((name) => name.includes("linux-gnu"));
  return { program, libraryPath: folders.map((name) => path.join(lib, name)).join(":") };
}

/** A request of `payloadBytes` with its gRPC prefix: a `fixbug.LoginRequest`. */
function grpcMessage(payloadBytes: number): Buffer {
  const name = Buffer.alloc(payloadBytes - 2, "1");
  const message = Buffer.concat([Buffer.from([0x0a, name.length]), name]);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** A provider on one core, under the load of h2load on another. */
export class H2loadPair {
  readonly #provider: Child<Request, Answers>;
  readonly #core: string | undefined;
  readonly #folder = mkdtempSync(path.join(tmpdir(), "mprpc-bench-"));

  private constructor(provider: Child<Request, Answers>, core: string | undefined) {
    this.#provider = provider;
    this.#core = core;
    writeFileSync(path.join(this.#folder, "body"), grpcMessage(20));
  }

  static async start(target: TargetName, pin: boolean): Promise<H2loadPair> {
    const args = [JSON.stringify(target), "provider", ""];
    const name = `provider of ${target}`;
    const provider: Child<Request, Answers> = await Child.start({
      ...{ name, program: "worker", args, core: pin ? 0 : undefined },
    });
    const cores = allowedCores();
    return new H2loadPair(provider, pin && cores.length > 1 ? String(cores[1]) : undefined);
  }

  async measure(inFlight: number, { warmMs, measureMs }: { warmMs: number; measureMs: number }) {
    const found = findH2load();
    if (found === undefined) throw new Error("h2load is not there");
    // Longer than any window; it is killed at the end.
    const seconds = Math.ceil((warmMs + 8 * measureMs) / 1000) + 12;
    const line = [
      ...(this.#core === undefined ? [] : ["taskset", "-c", this.#core]),
      ...[found.program, "-c1", `-m${inFlight}`, "-D", String(seconds), "-t1"],
      ...["-H", ":method: POST", "-H", "content-type: application/grpc", "-H", "te: trailers"],
      ...["-d", path.join(this.#folder, "body")],
      `http://${this.#provider.endpoint}/fixbug.UserServiceRpc/Login`,
    ];
    const [command = "", ...args] = line;
    const env = { ...process.env, LD_LIBRARY_PATH: found.libraryPath };
    const load = spawn(command, args, { stdio: "ignore", env });
    const over = new Promise((resolve) => load.once("exit", resolve));
    try {
      await wait(warmMs);
      const mark = (edge: "start" | "end") => this.#provider.ask({ kind: "mark", edge, payloadBytes: 20 });
      const start = await mark("start");
      const callsUntil = (end: typeof start): number => end.calls - start.calls;
      const end = await windowOf(measureMs, () => mark("end"), callsUntil);
      const calls = callsUntil(end);
      return {
        callsPerSecond: (calls * 1000) / (end.timeMs - start.timeMs),
        serverCpuUsPerCall: (end.cpuUs - start.cpuUs) / calls,
      };
    } finally {
      load.kill("SIGKILL");
      await over;
    }
  }

  async close(): Promise<void> {
    rmSync(this.#folder, { recursive: true, force: true });
    await this.#provider.ask({ kind: "close" }).catch(() => {});
    this.#provider.kill();
  }
}
