import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Child } from "./child.js";
import { debianPackages, javaCommand } from "./debian.js";
import { eventually } from "./wait.js";

/** What the tests use throughout: the shortest session the server's ticks allow with room to spare. */
export const sessionTimeoutMs = 3000;
const tickTimeMs = 500;

const commonConf = [
  `tickTime=${tickTimeMs}`,
  "admin.enableServer=false",
  "4lw.commands.whitelist=*",
  "maxClientCnxns=0",
  "minSessionTimeout=1000",
  // Only for paths that were given a quota.
  "enforceQuota=true",
];

/** Below the range the system takes ports for outgoing connections from: a server that is down keeps its port. */
const firstPort = 12_000;
const portCount = 20_000;

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

/** A port nothing listens on now. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = firstPort + Math.floor(Math.random() * portCount);
    if (await isFree(port)) return port;
  }
}

let paths: { java: string; classPath: string } | undefined;

function javaArguments(): { java: string; classPath: string } {
  if (paths === undefined) {
    const jars = join(debianPackages(), "usr", "share", "java");
    const names = [
      "zookeeper",
      "zookeeper-jute",
      "slf4j-api",
      "slf4j-simple",
      "metrics-core",
      "snappy-java",
      "commons-cli",
    ];
    const classPath = names.map((name) => join(jars, `${name}.jar`)).join(":");
    paths = { java: javaCommand(), classPath };
  }
  return paths;
}

/** The JVM dies with this process even when that is killed, where the system can do that. */
function startJava(args: readonly string[]): Child {
  const { java, classPath } = javaArguments();
  const options = ["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];
  const quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=error";
  const command = [java, ...options, quiet, "-cp", classPath, ...args];
  if (existsSync("/usr/bin/setpriv")) command.unshift("/usr/bin/setpriv", "--pdeathsig", "KILL", "--");
  return new Child(command[0] ?? java, command.slice(1));
}

async function fourLetterWord(port: number, word: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const socket = connect(port, "127.0.0.1", () => socket.end(word));
    socket.setTimeout(1000, () => socket.destroy(new Error("no answer")));
    socket.on("data", (chunk) => {
      text += chunk;
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(text));
  });
}

/** A ZooKeeper server that runs, as its users see it. */
export class ZooKeeper {
  readonly port: number;

  constructor(port: number) {
    this.port = port;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Answer of a four letter word, e.g. `wchs`. */
  async ask(word: string): Promise<string> {
    return fourLetterWord(this.port, word);
  }

  /** Output of one command of ZooKeeper's own command line program. */
  async cli(...command: string[]): Promise<string> {
    const child = startJava(["org.apache.zookeeper.ZooKeeperMain", "-server", this.address, ...command]);
    await eventually(
      "zkCli ends",
      async () => child.process.exitCode !== null || child.process.signalCode !== null,
    );
    return child.output;
  }
}

/** A real ZooKeeper server in a folder of its own. */
export class ZooKeeperServer extends ZooKeeper {
  readonly #folder: string;
  readonly #conf: string;
  /** Its number in an ensemble. */
  readonly #id: number | undefined;
  #child: Child | undefined;

  private constructor(folder: string, port: number, conf: string, id: number | undefined) {
    super(port);
    this.#folder = folder;
    this.#conf = conf;
    this.#id = id;
  }

  /** A standalone server on a free port, serving. */
  static async start(): Promise<ZooKeeperServer> {
    const [server] = await ZooKeeperServer.#startAll(async () => {
      const port = await freePort();
      return [await ZooKeeperServer.#create(port, [`clientPort=${port}`, "clientPortAddress=127.0.0.1"])];
    });
    if (server === undefined) throw new Error("no server");
    return server;
  }

  /** `size` servers that elect a leader among them, all serving. */
  static startEnsemble(size: number): Promise<ZooKeeperServer[]> {
    return ZooKeeperServer.#startAll(() => ZooKeeperServer.#createEnsemble(size));
  }

  /** Another test run may take a port between the look and the use, so a failed start is tried with other ports. */
  static async #startAll(create: () => Promise<ZooKeeperServer[]>): Promise<ZooKeeperServer[]> {
    for (let attempt = 1; ; attempt++) {
      const servers = await create();
      const starts = await Promise.allSettled(servers.map((server) => server.start()));
      const failed = starts.find((start) => start.status === "rejected");
      if (failed === undefined) return servers;
      await Promise.all(servers.map((server) => server.stop()));
      if (attempt === 3) throw failed.reason;
    }
  }

  static async #createEnsemble(size: number): Promise<ZooKeeperServer[]> {
    const ports = await Promise.all(
      Array.from({ length: size }, async () => ({
        ...{ peer: await freePort(), election: await freePort(), client: await freePort() },
      })),
    );
    const members = ports.map(
      ({ peer, election, client }, i) =>
        `server.${i + 1}=127.0.0.1:${peer}:${election}:participant;127.0.0.1:${client}`,
    );
    const lines = ["initLimit=10", "syncLimit=4", ...members];
    return Promise.all(ports.map(({ client }, i) => ZooKeeperServer.#create(client, lines, i + 1)));
  }

  static async #create(port: number, lines: readonly string[], id?: number): Promise<ZooKeeperServer> {
    const folder = await mkdtemp(join(tmpdir(), "mprpc-zookeeper-"));
    const conf = join(folder, "zoo.cfg");
    const server = new ZooKeeperServer(folder, port, conf, id);
    await server.#makeDataFolder();
    await writeFile(conf, [...commonConf, `dataDir=${folder}/data`, ...lines, ""].join("\n"));
    return server;
  }

  /** Starts it, again with the data it had, and resolves when it serves. */
  async start(): Promise<void> {
    const child = startJava(["org.apache.zookeeper.server.quorum.QuorumPeerMain", this.#conf]);
    this.#child = child;
    const ended = () => child.process.exitCode !== null || child.process.signalCode !== null;
    await eventually(
      `ZooKeeper on ${this.address} serves`,
      async () => ended() || (await fourLetterWord(this.port, "srvr")).includes("Mode:"),
    );
    if (ended()) throw new Error(`ZooKeeper on ${this.address} ended: ${child.output}`);
  }

  /** Ends it at once; the data stays. */
  async kill(): Promise<void> {
    await this.#child?.kill("SIGKILL");
  }

  /** Freezes it: its connections stay open and nothing answers. */
  suspend(): void {
    this.#child?.suspend();
  }

  resume(): void {
    this.#child?.resume();
  }

  /** Throws its data away; only while it is not running. */
  async wipe(): Promise<void> {
    await rm(join(this.#folder, "data"), { recursive: true });
    await this.#makeDataFolder();
  }

  /** Ends it and removes its folder. */
  async stop(): Promise<void> {
    await this.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #makeDataFolder(): Promise<void> {
    await mkdir(join(this.#folder, "data"), { recursive: true });
    if (this.#id !== undefined) await writeFile(join(this.#folder, "data", "myid"), String(this.#id));
  }
}
