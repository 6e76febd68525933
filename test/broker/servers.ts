import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { Child } from "../tools/child.js";
import { debianRoot } from "../tools/debian.js";
import { freePort } from "../tools/zookeeper.js";

/** A real broker on a free port, its data in a temp folder, which outlives its restarts. */
export interface BrokerServer {
  readonly scheme: "redis" | "nats";
  readonly port: number;
  readonly pid: number;
  /** Ends it, as SIGKILL does, and starts it on the same data and port. */
  restart(downMs?: number): Promise<void>;
  kill(): Promise<void>;
  start(): Promise<void>;
  suspend(): void;
  resume(): void;
  /** Ends it, and its data. */
  close(): Promise<void>;
}

function findProgram(name: string): string {
  const folders = ["usr/sbin", "usr/bin", "usr/local/bin"];
  const places = ["/", debianRoot()].flatMap((root) => folders.map((one) => path.join(root, one, name)));
  const found = places.find((one) => existsSync(one));
  if (found === undefined) throw new Error(`${name} is missing: run scripts/debian-packages.sh`);
  return found;
}

/** Of the unpacked packages. */
function environment(): NodeJS.ProcessEnv {
  const libraries = path.join(debianRoot(), "usr/lib");
  return { ...process.env, LD_LIBRARY_PATH: path.join(libraries, "x86_64-linux-gnu") };
}

abstract class Server {
  readonly port: number;
  readonly folder: string;
  readonly extra: readonly string[];
  protected process: Child | undefined;

  constructor(port: number, folder: string, extra: readonly string[]) {
    this.port = port;
    this.folder = folder;
    this.extra = extra;
  }

  abstract start(): Promise<void>;

  get pid(): number {
    return this.process?.pid ?? 0;
  }

  async kill(): Promise<void> {
    await this.process?.kill("SIGKILL");
  }

  async restart(downMs = 0): Promise<void> {
    await this.kill();
    if (downMs > 0) await new Promise((resolve) => setTimeout(resolve, downMs));
    await this.start();
  }

  suspend(): void {
    this.process?.suspend();
  }

  resume(): void {
    this.process?.resume();
  }

  async close(): Promise<void> {
    await this.kill();
    await rm(this.folder, { recursive: true, force: true });
  }
}

class RedisServer extends Server implements BrokerServer {
  readonly scheme = "redis";

  async start(): Promise<void> {
    // Debian's redis-tools has the server too: one program, whose name says what it is.
    const args = ["--port", String(this.port), "--bind", "127.0.0.1", "--dir", this.folder];
    this.process = new Child(
      findProgram("redis-check-rdb"),
      [...args, "--appendonly", "yes", "--save", "", ...this.extra],
      environment(),
      { argv0: "redis-server" },
    );
    await this.process.line(/Ready to accept connections/);
  }
}

export class NatsServer extends Server implements BrokerServer {
  readonly scheme = "nats";

  async start(): Promise<void> {
    const jetstream = this.extra.includes("--no-jetstream") ? [] : ["-js", "-sd", this.folder];
    const own = this.extra.filter((one) => one !== "--no-jetstream");
    this.process = new Child(findProgram("nats-server"), [
      ...["-a", "127.0.0.1", "-p", String(this.port)],
      ...jetstream,
      ...own,
    ]);
    await this.process.line(/Server is ready/);
  }

  /** Empties the files in which it keeps how far groups have come, as a kill does that comes while it writes them. Only while it is down. */
  async forget(): Promise<void> {
    for (const one of await readdir(this.folder, { recursive: true, withFileTypes: true })) {
      if (one.name === "o.dat") await truncate(path.join(one.parentPath, one.name));
    }
  }

  /** Deletes all that it keeps. Only while it is down. */
  async wipe(): Promise<void> {
    await rm(this.folder, { recursive: true });
  }
}

export async function startNats(): Promise<NatsServer> {
  const folder = await mkdtemp(path.join(tmpdir(), "mprpc-nats-"));
  const server = new NatsServer(await freePort(), folder, []);
  await server.start();
  return server;
}

export async function startServer(
  scheme: "redis" | "nats",
  ...extra: readonly string[]
): Promise<BrokerServer> {
  const folder = await mkdtemp(path.join(tmpdir(), `mprpc-${scheme}-`));
  const port = await freePort();
  const server =
    scheme === "redis" ? new RedisServer(port, folder, extra) : new NatsServer(port, folder, extra);
  await server.start();
  return server;
}

/** A configuration of a server in a file of its own, in `folder`. */
export async function writeConf(folder: string, text: string): Promise<string> {
  const file = path.join(folder, "server.conf");
  await writeFile(file, text, { mode: 0o600 });
  return file;
}
