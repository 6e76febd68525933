import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { MprpcApplication, RpcChannel, RpcProvider, silentLogger } from "mprpc";
import { log, positive } from "../arguments.js";
import type { Command } from "../command.js";
import { UserServiceRpc, UserServiceRpcStub } from "../gen/bench.js";
import { loginRequest, loginResponse } from "../login.js";
import { type Data, dataReport } from "../report/data.js";
import { median } from "../report.js";

const usage = `Usage: npm run bench -- local [options]

A channel and a provider in one process, that meet over TCP, over a unix socket, and within the process, in turns: a Login of 20 bytes with
1, 16 and 256 calls in flight. CPU is that of both sides together; medians over the rounds, ratios of each round.

  --rounds N         default 20
  --slice-ms N       how long one way is measured in one round; default 300
  --report FOLDER    local.json and local.md
  -h, --help
`;

const ways = ["tcp", "unix", "inproc"] as const;
type Way = (typeof ways)[number];

export interface LocalPlan {
  rounds: number;
  /** How long one way is measured in one round. */
  sliceMs: number;
  inFlight: readonly number[];
}

interface Pair {
  stub: UserServiceRpcStub;
  close(): Promise<void>;
}

async function openPair(way: Way, folder: string): Promise<Pair> {
  const listen = { tcp: "127.0.0.1", unix: `unix:${folder}/bench.sock`, inproc: "inproc:bench" }[way];
  const init = (...flags: string[]) =>
    MprpcApplication.init([process.execPath, "bench", ...flags], {
      env: {},
      cwd: folder,
      log: silentLogger,
    });
  const app = await init(`--rpcserverip=${listen}`, "--registry=static://127.0.0.1:1");
  const provider = new RpcProvider(app).notifyService(UserServiceRpc, { login: loginResponse });
  const { host, port } = await provider.start();
  const address = way === "tcp" ? `${host}:${port}` : host;
  const caller = await init(`--registry=static://${address}`, "--channel.local=off");
  const channel = new RpcChannel(caller);
  return {
    stub: new UserServiceRpcStub(channel),
    async close() {
      await channel.close();
      await provider.shutdown();
      await Promise.all([app.close(), caller.close()]);
    },
  };
}

interface Sample {
  /** Of the clock, for one call. */
  us: number;
  cpuUs: number;
}

async function measure({ stub }: Pair, inFlight: number, sliceMs: number): Promise<Sample> {
  const request = loginRequest(20);
  let calls = 0;
  const [startMs, before] = [performance.now(), process.cpuUsage()];
  const loop = async (): Promise<void> => {
    while (performance.now() - startMs < sliceMs) {
      await stub.login(request);
      calls += 1;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, loop));
  const { user, system } = process.cpuUsage(before);
  return { us: ((performance.now() - startMs) * 1000) / calls, cpuUs: (user + system) / calls };
}

/** The ways take turns, each round beginning with another one; the first round warms the code up. */
export async function runLocal(plan: LocalPlan): Promise<Data> {
  const folder = mkdtempSync(path.join(tmpdir(), "mprpc-local-"));
  const pairs = await Promise.all(ways.map((way) => openPair(way, folder)));
  const rows: Array<Array<string | number>> = [];
  try {
    for (const inFlight of plan.inFlight) {
      const samples = ways.map((): Sample[] => []);
      for (let round = 0; round <= plan.rounds; round += 1) {
        for (let turn = 0; turn < ways.length; turn += 1) {
          const at = (turn + round) % ways.length;
          const sample = await measure(pairs[at] as Pair, inFlight, plan.sliceMs);
          if (round > 0) samples[at]?.push(sample);
        }
      }
      for (const [at, way] of ways.entries()) {
        const own = samples[at] ?? [];
        const tcp = samples[0] ?? [];
        const against = (of: keyof Sample): number =>
          median(own.map((sample, i) => (tcp[i]?.[of] ?? Number.NaN) / sample[of]));
        const figures = [median(own.map(({ us }) => us)), median(own.map(({ cpuUs }) => cpuUs))];
        rows.push([inFlight, way, ...figures, against("us"), 1 / against("cpuUs")]);
      }
    }
  } finally {
    for (const pair of pairs) await pair.close();
    rmSync(folder, { recursive: true, force: true });
  }
  return {
    title: "A Login of 20 bytes between two ends in one process",
    columns: ["in flight", "way", "us a call", "CPU us a call", "calls/s against TCP", "CPU against TCP"],
    rows,
  };
}

export const local: Command = {
  usage,
  about: "within a process, by unix socket and by TCP",
  parse(argv) {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        rounds: { type: "string" },
        "slice-ms": { type: "string" },
        report: { type: "string" },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    if (values.help) return undefined;
    const plan = {
      rounds: positive("rounds", values.rounds, 20),
      sliceMs: positive("slice-ms", values["slice-ms"], 300),
      inFlight: [1, 16, 256],
    };
    return {
      reportFolder: values.report,
      async run() {
        log(`local: ${plan.rounds} rounds of ${plan.inFlight.length * ways.length} slices`);
        return dataReport("local", "Within a machine and a process", [await runLocal(plan)], undefined);
      },
    };
  },
};
