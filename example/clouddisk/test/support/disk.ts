import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import { compiled } from "../../../../test/tools/compiled.js";
import { noteComplaint, strictNode } from "../../../../test/tools/complaints.js";
import { canary, watchSecret } from "../../../../test/tools/leaks/secrets.js";
import { type RunningNode, startNode } from "../../src/common/node.js";
import { type ServiceName, serviceNames } from "../../src/common/part.js";
import { RecordingLog } from "./log.js";

/** Keys of the conf by name, `{ "upload.part": "64KiB" }`; `null` takes one of the test's own defaults back. */
export type ConfOverrides = Readonly<Record<string, string | null>>;

export interface DiskOptions {
  /** Of the first node. Default: all six. Empty: none is started. */
  services?: readonly ServiceName[];
  /** Of every node and process of this disk. */
  conf?: ConfOverrides;
  /** Keep the disk until `stop()` is called, not only to the end of the test: for `beforeAll`. */
  keep?: boolean;
}

export interface User {
  name: string;
  token: string;
  /** `Authorization`, for fetch. */
  headers: { authorization: string };
}

/** Of the users of all tests. */
export const password = canary();

/** Keys whose values everybody would see in `ps`. */
const secretKeys: readonly string[] = ["database.url", "store.secretkey", "account.operatorpassword"];

const root = fileURLToPath(new URL("../../../../", import.meta.url));
const main = new URL("process-main.ts", import.meta.url);

/** The same keys as variables of the environment. */
const variablesOf = (conf: ConfOverrides): Record<string, string> =>
  Object.fromEntries(
    Object.entries(conf).map(([key, value]) => [`MPRPC_${key.toUpperCase().replace(".", "_")}`, value ?? ""]),
  );

const flagsOf = (conf: ConfOverrides): string[] =>
  Object.entries(conf).flatMap(([key, value]) => (value === null ? [] : [`--${key}=${value}`]));

/** A cloud disk of its own: temp data folder, temp registry, free ports. Ends with the test, everything it started too. */
export class Disk {
  readonly dataFolder: string;
  readonly log = new RecordingLog();
  readonly nodes: RunningNode[] = [];
  readonly processes: DiskProcess[] = [];
  readonly #conf: ConfOverrides;
  #users = 0;

  constructor(dataFolder: string, conf: ConfOverrides) {
    this.dataFolder = dataFolder;
    this.#conf = conf;
  }

  /** The first node that was started in this process. */
  get node(): RunningNode {
    const [node] = this.nodes;
    if (node === undefined) throw new Error("this disk has no node in this process");
    return node;
  }

  /** Where the gateway is. */
  get url(): string {
    return this.urlOf("apigw");
  }

  /** Where a service's HTTP is, in whatever node or process. */
  urlOf(service: ServiceName): string {
    for (const { httpAddresses } of [...this.nodes, ...this.processes]) {
      const url = httpAddresses.get(service);
      if (url !== undefined) return url;
    }
    throw new Error(`no node of this disk serves ${service} over HTTP`);
  }

  argv(conf: ConfOverrides = {}): string[] {
    return flagsOf(this.#keys(conf));
  }

  #keys(conf: ConfOverrides): ConfOverrides {
    return {
      registry: `file:${path.join(this.dataFolder, "registry")}?poll=100ms`,
      "clouddisk.data": this.dataFolder,
      "apigw.port": "0",
      "upload.port": "0",
      "download.port": "0",
      "apigw.requestsperminute": "1000000",
      "provider.draintimeout": "2s",
      ...this.#conf,
      ...conf,
    };
  }

  /** Another node in this process. */
  async startNode(services: readonly ServiceName[], conf: ConfOverrides = {}): Promise<RunningNode> {
    const node = await startNode({
      services,
      argv: ["node", "clouddisk", ...this.argv(conf)],
      env: {},
      log: this.log,
    });
    this.nodes.push(node);
    return node;
  }

  /** A node in a process of its own, from source, ready when this resolves. */
  async startProcess(services: readonly ServiceName[], conf: ConfOverrides = {}): Promise<DiskProcess> {
    const entries = Object.entries(this.#keys(conf));
    const [open, secret] = [false, true].map((is) =>
      Object.fromEntries(entries.filter(([key]) => secretKeys.includes(key) === is)),
    );
    const started = new DiskProcess(services, flagsOf(open ?? {}), secret);
    this.processes.push(started);
    await started.ready;
    return started;
  }

  async stop(): Promise<void> {
    // The gateway first, the database last, so that nothing waits for what is gone.
    await Promise.all(this.processes.map((one) => one.end()));
    for (const node of this.nodes.splice(0).reverse()) await node.stop();
    await rm(this.dataFolder, { recursive: true, force: true });
  }

  /** A new user, signed in. */
  async user(name = `user-${++this.#users}`, ownPassword = password): Promise<User> {
    await this.signup(name, ownPassword);
    return this.signin(name, ownPassword);
  }

  async signup(username: string, itsPassword: string): Promise<void> {
    const reply = await this.post("/user/signup", { username, password: itsPassword });
    if (reply.code !== 10_000) throw new Error(`signup: ${JSON.stringify(reply)}`);
  }

  async signin(username: string, itsPassword: string): Promise<User> {
    const reply = await this.post("/user/signin", { username, password: itsPassword });
    const { Token: token } = (reply.data ?? {}) as { Token?: string };
    if (token === undefined) throw new Error(`signin: ${JSON.stringify(reply)}`);
    watchSecret(token);
    return { name: username, token, headers: { authorization: `Bearer ${token}` } };
  }

  /** A form to the gateway; the reply's JSON. */
  async post(
    route: string,
    form: Readonly<Record<string, string | number>>,
    user?: User,
  ): Promise<Record<string, unknown>> {
    const body = new URLSearchParams();
    for (const [key, value] of Object.entries(form)) body.set(key, String(value));
    const reply = await fetch(this.url + route, { method: "POST", body, headers: user?.headers ?? {} });
    return (await reply.json()) as Record<string, unknown>;
  }
}

/** Starts a disk; `options.services` run in this process. It ends with the test, unless `keep`. */
export async function startDisk(options: DiskOptions = {}): Promise<Disk> {
  const { services = serviceNames, conf = {}, keep = false } = options;
  const disk = new Disk(await mkdtemp(path.join(os.tmpdir(), "clouddisk-test-")), conf);
  if (!keep) onTestFinished(() => disk.stop());
  try {
    if (services.length > 0) await disk.startNode(services);
  } catch (error) {
    await disk.stop();
    throw error;
  }
  return disk;
}

/** A node in a process of its own. */
export class DiskProcess {
  readonly services: readonly ServiceName[];
  readonly httpAddresses = new Map<ServiceName, string>();
  /** Rejects with what it said when it ends before it is ready. */
  readonly ready: Promise<void>;
  /** Exit code, or the signal it died of. */
  readonly exited: Promise<number | NodeJS.Signals>;
  readonly #child: ChildProcess;
  #output = "";

  /** `secrets`: keys of the conf that everybody would see in `ps`; they go by the environment. */
  constructor(services: readonly ServiceName[], argv: readonly string[], secrets: ConfOverrides = {}) {
    this.services = services;
    // Away from the environment of whoever runs the tests.
    const { PATH, HOME, TMPDIR } = process.env;
    this.#child = spawn(process.execPath, [compiled(main), services.join(","), ...argv], {
      cwd: root,
      env: {
        ...{ PATH, HOME, ...(TMPDIR === undefined ? {} : { TMPDIR }) },
        NODE_OPTIONS: strictNode,
        ...variablesOf(secrets),
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.exited = once(this.#child, "close").then(
      ([code, signal]) => (code ?? signal) as number | NodeJS.Signals,
    );
    if (this.#child.stderr !== null) {
      createInterface(this.#child.stderr).on("line", (line) => noteComplaint(services.join(","), line));
    }
    this.ready = new Promise((resolve, reject) => {
      const onData = (chunk: Buffer): void => {
        this.#output += chunk.toString();
        const line = /^clouddisk ready:.*\n/m.exec(this.#output)?.[0];
        if (line === undefined || this.httpAddresses.size > 0) return;
        for (const [, service, url] of line.matchAll(/ (\w+)=(http\S+)/g)) {
          this.httpAddresses.set(service as ServiceName, url ?? "");
        }
        resolve();
      };
      this.#child.stdout?.on("data", onData);
      this.#child.stderr?.on("data", onData);
      void this.exited.then((code) =>
        reject(new Error(`${services.join(",")} ended (${code}):\n${this.#output}`)),
      );
    });
    this.ready.catch(() => {});
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  /** Everything it wrote, its log too. */
  get output(): string {
    return this.#output;
  }

  /** Resolves when it is gone. */
  async kill(signal: NodeJS.Signals): Promise<number | NodeJS.Signals> {
    this.#child.kill(signal);
    return this.exited;
  }

  /** At once, however it is. */
  async end(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill("SIGKILL");
    await this.exited;
  }
}
