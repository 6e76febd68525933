import { promises as dns } from "node:dns";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Child } from "./child.js";
import { debianLibraries, debianPackages } from "./debian.js";
import { eventually } from "./wait.js";
import { freePort } from "./zookeeper.js";

const libraries = [
  "libnetfilter-conntrack3",
  "libnftables1",
  "libnftnl11",
  "libnfnetlink0",
  "libmnl0",
  "libjansson4",
];

/** A real name server in a folder of its own, with the records it is given. */
export class Dnsmasq {
  readonly port: number;
  readonly #folder: string;
  #child: Child | undefined;

  private constructor(port: number, folder: string) {
    this.port = port;
    this.#folder = folder;
  }

  /** `records`: lines of its configuration, `host-record=a.test,10.0.0.1`, `srv-host=_x._tcp.test,a.test,8000,0,1`. */
  static async start(...records: string[]): Promise<Dnsmasq> {
    const server = new Dnsmasq(await freePort(), await mkdtemp(join(tmpdir(), "mprpc-dnsmasq-")));
    await server.start(...records);
    return server;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Starts it with these records alone, and resolves when it answers. */
  async start(...records: string[]): Promise<void> {
    const conf = join(this.#folder, "dnsmasq.conf");
    const common = [
      `port=${this.port}`,
      ...[
        "listen-address=127.0.0.1",
        "bind-interfaces",
        "no-resolv",
        "no-hosts",
        "no-daemon",
        "local=/test/",
      ],
      ...["user=", "group=", "pid-file=", "host-record=ready.test,127.0.0.9", "local-ttl=0"],
    ];
    await writeFile(conf, [...common, ...records, ""].join("\n"));
    const { program, libraryPath } = dnsmasqProgram();
    const command = [program, `--conf-file=${conf}`];
    if (existsSync("/usr/bin/setpriv")) command.unshift("/usr/bin/setpriv", "--pdeathsig", "KILL", "--");
    this.#child = new Child(command[0] ?? "", command.slice(1), {
      ...process.env,
      LD_LIBRARY_PATH: libraryPath,
    });
    const resolver = new dns.Resolver({ timeout: 500, tries: 1 });
    resolver.setServers([this.address]);
    const child = this.#child;
    await eventually(
      "dnsmasq answers",
      async () => child.process.exitCode !== null || (await resolver.resolve4("ready.test")).length > 0,
    );
    if (child.process.exitCode !== null) throw new Error(`dnsmasq ended: ${child.output}`);
  }

  /** Another start with other records. */
  async restart(...records: string[]): Promise<void> {
    await this.kill();
    await this.start(...records);
  }

  async kill(): Promise<void> {
    await this.#child?.kill("SIGKILL");
  }

  suspend(): void {
    this.#child?.suspend();
  }

  resume(): void {
    this.#child?.resume();
  }

  async stop(): Promise<void> {
    await this.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

let found: { program: string; libraryPath: string } | undefined;

/** The program, and where its libraries are. */
export function dnsmasqProgram(): { program: string; libraryPath: string } {
  if (found === undefined) {
    const installed = "/usr/sbin/dnsmasq";
    const unpacked = join(debianPackages("dnsmasq-base", ...libraries), "usr", "sbin", "dnsmasq");
    found = {
      program: existsSync(installed) ? installed : unpacked,
      libraryPath: debianLibraries(),
    };
  }
  return found;
}
