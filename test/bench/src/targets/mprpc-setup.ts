import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import {
  type CallOptions,
  type ClientInterceptor,
  MprpcApplication,
  RpcChannel,
  RpcProvider,
  type ServerInterceptor,
  Status,
} from "mprpc";
import { UserServiceRpc, UserServiceRpcStub } from "../gen/bench.js";
import { loginRequest, loginResponse } from "../login.js";
import { driveCalls } from "../meter.js";
import type { Caller, Provider, Target } from "../target.js";

/** What the calls carry beyond the request. */
export interface Extras {
  clientInterceptors: ClientInterceptor[];
  serverInterceptors: ServerInterceptor[];
  /** Sent along with each request. */
  metadata: Record<string, string> | undefined;
  /** Listen to the events of calls, as metrics do. */
  countEvents: boolean;
  /** Log each call on both sides, in files of the folder MPRPC_BENCH_LOGS, with a logger of this level. */
  logCalls?: "info" | "warn";
  /** The provider is a caller too, so that it carries the context of each call to the calls a handler could make. */
  carryContext: boolean;
  /** Over TLS, with a certificate in the folder where both meet, or by a shared secret, which also tells who calls. */
  secured?: boolean | "secret";
  /** The provider has a policy, and the caller is the one it admits. */
  policy?: true;
  /**
   * Speak gRPC instead of mprpc/2: the endpoint is then `host:port`, which any other gRPC caller may be given; with TLS
   * `host:port,folder`, since the certificate is in the folder.
   */
  grpc?: true;
}

/** All that can be on the path of a call besides the deadline and the context, with these interceptors. */
export function everything(client: ClientInterceptor, server: ServerInterceptor): Extras {
  return {
    clientInterceptors: [client, client],
    serverInterceptors: [server, server],
    metadata: { tenant: "bench", "request-id": "0123456789abcdef" },
    countEvents: true,
    carryContext: true,
  };
}

/** Both processes meet in a registry folder of their own; the endpoint of this target is that folder. */
function initApplication(
  cwd: string,
  registry: string,
  side: "caller" | "provider",
  { logCalls, secured, policy }: Extras,
): Promise<MprpcApplication> {
  const flags = ["--rpcserverip=127.0.0.1", "--rpcserverport=0", `--log.level=${logCalls ?? "error"}`];
  const { MPRPC_BENCH_LOGS } = process.env;
  if (logCalls !== undefined && MPRPC_BENCH_LOGS !== undefined) {
    flags.push(`--log.dir=${MPRPC_BENCH_LOGS}`, `--log.file=${side}.log`, "--log.maxbytes=0");
  }
  const file = (name: string): string => path.join(cwd, name);
  if (secured === "secret") {
    flags.push(`--auth.secrets=${file("secrets")}`);
    if (side === "provider") flags.push("--tls.mode=required");
    if (side === "provider" && policy) flags.push(`--auth.policy=${file("policy.conf")}`);
  }
  if (secured === true) {
    if (side === "caller") flags.push(`--tls.ca=${file("cert.pem")}`);
    else flags.push("--tls.mode=required", `--tls.cert=${file("cert.pem")}`, `--tls.key=${file("key.pem")}`);
  }
  // Neither the variables nor the conf file of whoever runs the benchmark may change what it measures.
  const parts = { env: {}, cwd };
  return MprpcApplication.init([process.execPath, "bench", `--registry=${registry}`, ...flags], parts);
}

/** What a program does with the events of calls: count them, log them. */
function observe(app: MprpcApplication, event: "serverEnd" | "clientEnd", extras: Extras): void {
  const counted = { ended: 0, failed: 0, elapsedMs: 0 };
  if (extras.countEvents) {
    app.events.on(event, ({ code, elapsedMs }) => {
      counted.ended += 1;
      if (code !== Status.OK) counted.failed += 1;
      counted.elapsedMs += elapsedMs;
    });
  }
  if (extras.logCalls !== undefined) {
    app.events.on(event, (end) => {
      const { call, code, elapsedMs } = end;
      const peer = "endpoint" in end ? end.endpoint : end.call.peer.address;
      app.log.info("call served", { method: call.method.fullName, code, elapsedMs, peer });
    });
  }
}

function writeSecrets(folder: string): void {
  const secret = randomBytes(32).toString("base64url");
  writeFileSync(path.join(folder, "secrets"), `web:${secret}\n`, { mode: 0o600 });
  const rules = [
    "* = none",
    "fixbug.* = secret:ops | jwt:*",
    "fixbug.UserServiceRpc/* = secret:web | secret:w?b + dns:*.test",
  ];
  writeFileSync(path.join(folder, "policy.conf"), `${rules.join("\n")}\n`);
}

async function startProvider(extras: Extras): Promise<Provider> {
  const folder = mkdtempSync(path.join(tmpdir(), "mprpc-bench-"));
  if (extras.secured === true) await (await import("../tls/certificates.js")).writeCertificate(folder);
  if (extras.secured === "secret") writeSecrets(folder);
  const app = await initApplication(folder, `file:${folder}`, "provider", extras);
  observe(app, "serverEnd", extras);
  let served = 0;
  const outgoing = extras.carryContext ? new RpcChannel(app) : undefined;
  const provider = new RpcProvider(app, { interceptors: extras.serverInterceptors });
  provider.notifyService(UserServiceRpc, {
    async login(request, context) {
      served += 1;
      if (extras.metadata !== undefined) context.replyMetadata.set("server", "bench");
      return loginResponse(request);
    },
  });
  const { host, port } = await provider.start();
  return {
    endpoint: endpointOf(`${host}:${port}`, folder, extras),
    served: () => served,
    async close() {
      await provider.shutdown();
      await outgoing?.close();
      await app.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function endpointOf(address: string, folder: string, { grpc, secured }: Extras): string {
  if (grpc !== true) return folder;
  return secured === true ? `${address},${folder}` : address;
}

async function startCaller(endpoint: string, extras: Extras): Promise<Caller> {
  const [address, folder = tmpdir()] = endpoint.split(",");
  const app = extras.grpc
    ? await initApplication(folder, `static://grpc://${address}`, "caller", extras)
    : await initApplication(endpoint, `file:${endpoint}`, "caller", extras);
  observe(app, "clientEnd", extras);
  // A channel has its own connection to each provider.
  const open = () => new RpcChannel(app, { interceptors: extras.clientInterceptors });
  const channel = open();
  const user = new UserServiceRpcStub(channel);
  const idle: RpcChannel[] = [];
  return {
    drive(meter, { payloadBytes, inFlight }) {
      const request = loginRequest(payloadBytes);
      const options: CallOptions = {};
      if (extras.metadata !== undefined) options.metadata = extras.metadata;
      return driveCalls(meter, inFlight, () => user.login(request, options));
    },
    callOnce: (payloadBytes) => user.login(loginRequest(payloadBytes)),
    async openIdle(count) {
      for (let i = 0; i < count; i += 1) {
        const one = open();
        idle.push(one);
        await new UserServiceRpcStub(one).login(loginRequest(20));
      }
    },
    async close() {
      for (const one of [channel, ...idle]) await one.close();
      await app.close();
    },
  };
}

const asItComes: Extras = {
  clientInterceptors: [],
  serverInterceptors: [],
  metadata: undefined,
  countEvents: false,
  carryContext: false,
};

/** `more`: what the calls carry that they would not as it comes. */
export function mprpcTarget(more: Partial<Extras> = {}): Target {
  const extras = { ...asItComes, ...more };
  return {
    startProvider: () => startProvider(extras),
    startCaller: (endpoint) => startCaller(endpoint, extras),
  };
}
