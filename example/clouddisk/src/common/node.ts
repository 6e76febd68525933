import { constants } from "node:os";
import path from "node:path";
import type { FastifyInstance } from "fastify";
import {
  formatAddress,
  type Logger,
  MprpcApplication,
  openRegistry,
  type Registry,
  RpcChannel,
  RpcProvider,
} from "mprpc";
import { Database } from "../dbproxy/client.js";
import { openEvents } from "../events/disk-events.js";
import { onlyServices } from "./callers.js";
import { createHttp } from "./http.js";
import { endInstance, newInstance } from "./instance.js";
import { type CreatePart, type Host, type Part, type ServiceName, serviceNames } from "./part.js";
import { rpcPlace } from "./rpc-place.js";
import { sections } from "./sections.js";
import { configuredFolder, loadSettings, type Settings } from "./settings.js";
import { traceCalls, tracedLogger, traceServing } from "./trace.js";

export interface NodeOptions {
  services: readonly ServiceName[];
  /** As `process.argv`: interpreter, script, and then `-i clouddisk.conf`, `--key=value`. Default: `process.argv`. */
  argv?: readonly string[];
  /** Default: `process.env`. */
  env?: Readonly<Record<string, string | undefined>>;
  /** Default: what `[log]` says. The node does not close one it was given. */
  log?: Logger;
}

/** A process of the cloud disk that serves. */
export interface RunningNode {
  readonly app: MprpcApplication;
  readonly settings: Settings;
  readonly host: Host;
  /** `http://127.0.0.1:8080` by service. With apigw in the process, that is where upload and download are as well. */
  readonly httpAddresses: ReadonlyMap<ServiceName, string>;
  /** The one of this service; throws when it has none here. */
  httpAddress(service: ServiceName): string;
  /** Finishes what was begun, and ends everything. Idempotent; never rejects. */
  stop(): Promise<void>;
}

/** The services that have HTTP routes, and which part of the settings says where. */
const httpServices = ["apigw", "upload", "download"] as const;
type HttpService = (typeof httpServices)[number];

/** Whom a call served by this process is logged for. */
const owners: Readonly<Record<string, ServiceName>> = {
  DBProxyService: "dbproxy",
  UserService: "account",
  FileService: "account",
  TransferService: "transfer",
  DownloadService: "download",
  UploadService: "upload",
};

/** A call waits this long for a service that is away or starting, its own work included. */
const callTimeoutMs = 15_000;

/** Only what a process serves is loaded: a machine that only stores needs no database driver in its memory. */
const parts: Readonly<Record<ServiceName, () => Promise<CreatePart>>> = {
  dbproxy: async () => (await import("../dbproxy/service.js")).createDbproxy,
  account: async () => (await import("../account/service.js")).createAccount,
  transfer: async () => (await import("../transfer/service.js")).createTransfer,
  download: async () => (await import("../download/service.js")).createDownload,
  upload: async () => (await import("../upload/service.js")).createUpload,
  apigw: async () => (await import("../apigw/service.js")).createApigw,
};

/** What runs so far, each with how it is ended, so that a start that fails halfway leaves nothing behind. */
class Undo {
  readonly #steps: Array<{ what: string; end: () => Promise<unknown> | undefined }> = [];
  #log: Logger | undefined;

  set log(log: Logger) {
    this.#log = log;
  }

  push(what: string, end: () => Promise<unknown> | undefined): void {
    this.#steps.push({ what, end });
  }

  /** The last one first. What fails is logged and does not keep the others from ending. */
  async run(): Promise<void> {
    for (const { what, end } of this.#steps.splice(0).reverse()) {
      try {
        await end();
      } catch (error) {
        this.#log?.error(`${what} did not stop cleanly`, { error });
      }
    }
  }
}

/**
 * Starts services in this process. Rejects, having ended what it had begun, with an error that says what is wrong: a
 * ConfigError, a port that is taken, a database that cannot be opened.
 */
export async function startNode(options: NodeOptions): Promise<RunningNode> {
  const undo = new Undo();
  try {
    return await start(options, undo);
  } catch (error) {
    await undo.run();
    throw error;
  }
}

async function start(options: NodeOptions, undo: Undo): Promise<RunningNode> {
  const services = serviceNames.filter((name) => options.services.includes(name));
  const app = await initApp(options);
  undo.log = app.log;
  undo.push("the application", () => app.close());
  const settings = loadSettings(app.config);
  const channel = new RpcChannel(app, {
    waitForReady: true,
    timeoutMs: callTimeoutMs,
    interceptors: [traceCalls],
  });
  undo.push("the channel", () => channel.close());
  const instance = newInstance(settings.node);
  undo.push("the instance", async () => endInstance(instance));
  const events = openEvents(app, services);
  if (events !== undefined) undo.push("the broker", () => events.close());
  const host: Host = { app, channel, database: new Database(channel), settings, events, services, instance };
  const provider = new RpcProvider(app, {
    interceptors: [
      (next) => (call) => {
        const service = call.context.method.fullName.split(".").at(-2) ?? "";
        return traceServing(tracedLogger(app.log, owners[service] ?? service))(next)(call);
      },
      // Within it: who was refused is in the log.
      onlyServices(settings.callers),
    ],
  });

  const running: Part[] = [];
  for (const name of services) {
    const create = await parts[name]();
    const part = await create(host);
    running.push(part);
    // dbproxy's database is needed until the last call is served.
    if (name === "dbproxy") undo.push(name, () => part.stop?.());
    part.notify(provider);
  }
  // apigw alone serves no RPC.
  const serves = services.some((name) => name !== "apigw");
  if (serves) undo.push("the provider", () => provider.shutdown());
  for (const part of running) if (part.name !== "dbproxy") undo.push(part.name, () => part.stop?.());

  // HTTP comes first: a port that is taken is told before anybody is sent here.
  const httpAddresses = await startHttp(host, running, undo);
  if (serves) {
    const place = rpcPlace(app.config, settings.dataFolder, services);
    if (place !== undefined) provider.listen(place);
    await provider.start();
  }
  for (const part of running) await part.start?.();
  for (const [service, url] of httpAddresses) app.log.info(`${service}: ${url}`);

  let stopping: Promise<void> | undefined;
  return {
    app,
    settings,
    host,
    httpAddresses,
    httpAddress(service) {
      const url = httpAddresses.get(service);
      if (url === undefined) throw new Error(`${service} has no HTTP server in this process`);
      return url;
    },
    stop: () => {
      stopping ??= undo.run();
      return stopping;
    },
  };
}

/** `CLOUDDISK_DATA` is a short name for `MPRPC_CLOUDDISK_DATA`. */
export function nodeEnvironment(env: NonNullable<NodeOptions["env"]>): NonNullable<NodeOptions["env"]> {
  const { CLOUDDISK_DATA, MPRPC_CLOUDDISK_DATA = CLOUDDISK_DATA } = env;
  return { ...env, MPRPC_CLOUDDISK_DATA };
}

function initApp({
  argv = process.argv,
  env = process.env,
  log,
}: NodeOptions): Promise<MprpcApplication<typeof sections>> {
  return MprpcApplication.init(argv, {
    env: nodeEnvironment(env),
    sections,
    registry: ownRegistry,
    ...(log === undefined ? {} : { log }),
  });
}

/** Unless the conf names a registry, each data folder has its own: two disks on one machine must not mix. */
function ownRegistry(config: MprpcApplication<typeof sections>["config"], log: Logger): Registry | undefined {
  if (config.origins.registry.source !== "default") return undefined;
  return openRegistry(`file:${encodeURI(path.join(configuredFolder(config), "registry"))}`, { log });
}

async function startHttp(host: Host, parts: readonly Part[], undo: Undo): Promise<Map<ServiceName, string>> {
  const withRoutes = parts.filter((part) => part.routes !== undefined);
  const together = withRoutes.some((part) => part.name === "apigw");
  const addresses = new Map<ServiceName, string>();
  const groups = together ? [withRoutes] : withRoutes.map((part) => [part]);
  for (const group of groups) {
    const service: HttpService = together ? "apigw" : httpService(group);
    const http = await createHttp(host, tracedLogger(host.app.log, service));
    undo.push(`${service}'s HTTP server`, () => http.close());
    for (const part of group) await part.routes?.(http);
    const url = await listen(http, service, host.settings);
    for (const part of group) addresses.set(part.name, url);
  }
  return addresses;
}

function httpService(group: readonly Part[]): HttpService {
  const found = httpServices.find((name) => group.some((part) => part.name === name));
  if (found === undefined)
    throw new Error(`no settings say where ${group[0]?.name ?? "it"} listens for HTTP`);
  return found;
}

async function listen(http: FastifyInstance, service: HttpService, settings: Settings): Promise<string> {
  const { host, port } = settings[service];
  try {
    await http.listen({ host, port });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const place = formatAddress({ host, port });
    const why: Readonly<Record<string, string>> = {
      EADDRINUSE: "another program listens there",
      EACCES: "this user may not listen there",
      EADDRNOTAVAIL: "this machine has no such address",
    };
    const reason = why[code ?? ""];
    if (reason === undefined) throw error;
    throw new Error(
      `${service}: cannot listen on ${place}: ${reason}; change [${service}] host or port (--${service}.port=N)`,
      { cause: error },
    );
  }
  const bound = http.server.address();
  if (bound === null || typeof bound === "string") throw new Error(`${service}: listens on no port`);
  // Nobody can connect to "all interfaces".
  const reachable = host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host;
  return `http://${formatAddress({ host: reachable, port: bound.port })}`;
}

/** What asks a node to end; the end of a terminal is told by SIGHUP. */
const endingSignals = ["SIGTERM", "SIGINT", "SIGHUP"] as const;

/**
 * The main program of a service: serves until SIGTERM, SIGINT or SIGHUP, which let requests in flight end; a second
 * SIGTERM or SIGINT ends it at once, with 128 + its number. A start that fails is told on stderr, with exit code 1.
 */
export async function runNode(
  services: readonly ServiceName[],
  options: Omit<NodeOptions, "services"> = {},
): Promise<void> {
  const starting = startNode({ ...options, services });
  let signalled = false;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (signalled) {
      // The shell and the system both tell of the end of a terminal: that is no hurry.
      if (signal !== "SIGHUP") process.exit(128 + constants.signals[signal]);
      return;
    }
    signalled = true;
    void starting.then(
      async (node) => {
        node.app.log.info(`${signal}: finishing what is in flight; once more ends it at once`);
        await node.stop();
        stopListening();
        endSoon();
      },
      () => {},
    );
  };
  const stopListening = (): void => {
    for (const signal of endingSignals) process.off(signal, onSignal);
  };
  for (const signal of endingSignals) process.on(signal, onSignal);
  try {
    const { httpAddresses } = await starting;
    const urls = Array.from(httpAddresses, ([service, url]) => ` ${service}=${url}`);
    // Whoever started us waits for this line.
    console.log(`clouddisk ready: ${services.join(",")}${urls.join("")}`);
  } catch (error) {
    stopListening();
    console.error(`clouddisk: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
    endSoon();
  }
}

/** With everything closed the process ends by itself. What a library left open must not keep it, and is named. */
function endSoon(): void {
  const timer = setTimeout(() => {
    console.error(`clouddisk: ending in spite of ${process.getActiveResourcesInfo().join(", ")}`);
    process.exit();
  }, 3000);
  timer.unref();
}
