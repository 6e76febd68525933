import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { homedir, tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";

export const brokerNames = ["redis", "nats"] as const;
export type BrokerName = (typeof brokerNames)[number];

/** A server on a free port of 127.0.0.1, its data in a temp folder. */
export interface BrokerServer {
  readonly port: number;
  close(): Promise<void>;
}

function unpackedRoot(): string {
  const { MPRPC_TEST_CACHE, XDG_CACHE_HOME } = process.env;
  const cache = MPRPC_TEST_CACHE || path.join(XDG_CACHE_HOME || path.join(homedir(), ".cache"), "mprpc-test");
  return path.join(cache, "debian", "root");
}

/** Debian's package redis-tools has the server too, under another name. */
const programs: Readonly<Record<BrokerName, readonly string[]>> = {
  redis: ["redis-server", "redis-check-rdb"],
  nats: ["nats-server"],
};

function findProgram(broker: BrokerName): string {
  const folders = ["usr/bin", "usr/sbin", "usr/local/bin"];
  for (const root of ["/", unpackedRoot()]) {
    for (const folder of folders) {
      for (const program of programs[broker]) {
        const file = path.join(root, folder, program);
        if (existsSync(file)) return file;
      }
    }
  }
  throw new Error(`${programs[broker][0]} is not there: scripts/debian-packages.sh fetches it`);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** Redis with its append-only file, or NATS with JetStream in files: what messages outlive. */
export async function startBroker(broker: BrokerName): Promise<BrokerServer> {
  const folder = mkdtempSync(path.join(tmpdir(), `mprpc-bench-${broker}-`));
  const port = await freePort();
  const [args, ready] =
    broker === "redis"
      ? [
          ["--port", `${port}`, "--bind", "127.0.0.1", "--dir", folder, "--appendonly", "yes", "--save", ""],
          /Ready to accept/,
        ]
      : [["-a", "127.0.0.1", "-p", `${port}`, "-js", "-sd", folder], /Server is ready/];
  const libraries = path.join(
    unpackedRoot(),
    "usr/lib",
    `${process.arch === "arm64" ? "aarch64" : "x86_64"}-linux-gnu`,
  );
  const child = spawn(findProgram(broker), args, {
    argv0: programs[broker][0],
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, LD_LIBRARY_PATH: libraries },
  });
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const close = async (): Promise<void> => {
    child.kill("SIGKILL");
    await gone;
    rmSync(folder, { recursive: true, force: true });
  };
  process.once("exit", () => child.kill("SIGKILL"));
  let output = "";
  try {
    await new Promise<void>((resolve, reject) => {
      for (const stream of [child.stdout, child.stderr]) {
        createInterface(stream).on("line", (line) => {
          output = `${output}${line}\n`.slice(-2000);
          if (ready.test(line)) resolve();
        });
      }
      child.once("error", reject);
      void gone.then(() => reject(new Error(`${programs[broker][0]} ended: ${output}`)));
    });
  } catch (error) {
    await close();
    throw error;
  }
  return { port, close };
}
