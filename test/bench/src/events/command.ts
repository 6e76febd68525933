import { parseArgs } from "node:util";
import { chosen, log, positive } from "../arguments.js";
import type { Command } from "../command.js";
import { loginRequest } from "../login.js";
import { type Data, dataReport } from "../report/data.js";
import { median } from "../report.js";
import { type BrokerName, brokerNames, startBroker } from "./servers.js";
import type { Side } from "./side.js";

const usage = `Usage: npm run bench -- events [options]

Messages of 100 bytes published to Redis and to NATS, on disk both, and consumed from them with an acknowledgement each: by mprpc/broker
and by the bare clients (ioredis, @nats-io), with as many in flight, in turns and in one process. Medians over the rounds; ratios of each
round. CPU is that of the clients' process.

  --brokers LIST     of redis,nats; default both
  --rounds N         default 10
  --messages N       published and consumed in a round by each; default 20,000 (a tenth of it with one in flight)
  --quick            3 rounds of 5,000
  --json FILE        the figures as JSON
  --report FOLDER    events.json and events.md
  -h, --help
`;

export interface EventsPlan {
  readonly brokers: readonly BrokerName[];
  readonly rounds: number;
  readonly messages: number;
}

const payloadBytes = 100;

/** One thing that is measured, of both sides alike. */
interface Case {
  readonly what: string;
  readonly inFlight: number;
  /** What of `messages` is used. */
  readonly part: number;
  readonly consumes: boolean;
}

const cases: readonly Case[] = [
  { what: "publish", inFlight: 1, part: 0.1, consumes: false },
  { what: "publish", inFlight: 64, part: 1, consumes: false },
  { what: "publish", inFlight: 256, part: 1, consumes: false },
  { what: "consume", inFlight: 256, part: 1, consumes: true },
];

interface Sample {
  readonly perSecond: number;
  /** Of this process, for one message. */
  readonly cpuUs: number;
}

async function measure(side: Side, one: Case, messages: number, topic: string): Promise<Sample> {
  const count = Math.max(1, Math.round(messages * one.part));
  await side.prepare(topic);
  let [startMs, before] = [performance.now(), process.cpuUsage()];
  const start = (): void => {
    [startMs, before] = [performance.now(), process.cpuUsage()];
  };
  const end = (): Sample => {
    const elapsedMs = performance.now() - startMs;
    const { user, system } = process.cpuUsage(before);
    return { perSecond: (count * 1000) / elapsedMs, cpuUs: (user + system) / count };
  };
  let sample: Sample;
  if (one.consumes) {
    await side.publish(topic, count, 256);
    // Joining the group and leaving it are no part of it.
    const leave = await side.consume(topic, count, one.inFlight, start);
    sample = end();
    await leave();
  } else {
    start();
    await side.publish(topic, count, one.inFlight);
    sample = end();
  }
  await side.remove(topic);
  return sample;
}

/** mprpc first, then the bare client. */
async function openSides(broker: BrokerName, port: number): Promise<readonly [Side, Side]> {
  const { encodeMessage } = await import("mprpc/codec");
  const { LoginRequest } = await import("../gen/bench.js");
  const payload = Buffer.from(encodeMessage(LoginRequest, loginRequest(payloadBytes)));
  const { mprpcSide } = await import("./mprpc.js");
  const url = `${broker}://127.0.0.1:${port}`;
  if (broker === "redis") {
    const bare = await (await import("./redis.js")).bareRedis(port, payload);
    return [await mprpcSide(url, payloadBytes, (topic) => bare.remove(`mprpc:{${topic}}`)), bare];
  }
  const bare = await (await import("./nats.js")).bareNats(port, payload);
  return [await mprpcSide(url, payloadBytes, (topic) => bare.remove(`mprpc=${topic}`)), bare];
}

/** The sides take turns, each round begun by the other one; the first round warms the code up. */
async function measureBroker(broker: BrokerName, { rounds, messages }: EventsPlan): Promise<Data> {
  const server = await startBroker(broker);
  const rows: Array<Array<string | number>> = [];
  try {
    const sides = await openSides(broker, server.port);
    try {
      for (const one of cases) {
        const samples: [Sample[], Sample[]] = [[], []];
        for (let round = 0; round <= rounds; round += 1) {
          for (const turn of [0, 1]) {
            const at = (turn + round) % 2 === 0 ? 0 : 1;
            const topic = `bench-${one.what}-${one.inFlight}-${round}-${at}`;
            const sample = await measure(sides[at], one, messages, topic);
            if (round > 0) samples[at].push(sample);
          }
        }
        const [own, bare] = samples;
        const ratio = median(own.map(({ perSecond }, i) => perSecond / (bare[i]?.perSecond ?? Number.NaN)));
        const figures = [own, bare].flatMap((list) => [
          Math.round(median(list.map(({ perSecond }) => perSecond))),
          median(list.map(({ cpuUs }) => cpuUs)),
        ]);
        rows.push([one.what, one.inFlight, ...figures, ratio]);
      }
    } finally {
      for (const side of sides) await side.close();
    }
  } finally {
    await server.close();
  }
  return {
    title: `${broker}: messages of ${payloadBytes} bytes`,
    columns: ["", "in flight", "mprpc/s", "CPU us", "bare/s", "bare CPU us", "mprpc / bare"],
    rows,
  };
}

export async function runEvents(plan: EventsPlan): Promise<Data[]> {
  const tables: Data[] = [];
  for (const broker of plan.brokers) tables.push(await measureBroker(broker, plan));
  return tables;
}

export const events: Command = {
  usage,
  about: "publish and subscribe over Redis and NATS, beside their bare clients",
  parse(argv) {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        brokers: { type: "string" },
        rounds: { type: "string" },
        messages: { type: "string" },
        quick: { type: "boolean", default: false },
        json: { type: "string" },
        report: { type: "string" },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    if (values.help) return undefined;
    const plan: EventsPlan = {
      brokers: chosen("brokers", values.brokers, brokerNames),
      rounds: positive("rounds", values.rounds, values.quick ? 3 : 10),
      messages: positive("messages", values.messages, values.quick ? 5000 : 20_000),
    };
    return {
      reportFolder: values.report,
      async run() {
        log(`events: ${plan.brokers.join(" and ")}, ${plan.rounds} rounds of ${plan.messages} messages`);
        return dataReport("events", "Publish and subscribe", await runEvents(plan), values.json);
      },
    };
  },
};
