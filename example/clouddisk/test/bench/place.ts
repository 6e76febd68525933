import http from "node:http";
import { serviceNames } from "../../src/common/part.js";
import { type Disk, startDisk, type User } from "../support/disk.js";
import { ask } from "./requests.js";

const rounds = 12;
const sliceMs = 1000;
const connections = [1, 16];
const paths = ["/api/me", "/api/files"];

interface Place {
  readonly disk: Disk;
  readonly user: User;
  readonly agent: http.Agent;
}

async function open(conf: Record<string, string>): Promise<Place> {
  const disk = await startDisk({ services: [], keep: true, conf: { "log.level": "warn", ...conf } });
  await disk.startProcess(serviceNames);
  const user = await disk.user();
  return { disk, user, agent: new http.Agent({ keepAlive: true }) };
}

/** Requests a second. */
async function slice({ disk, user, agent }: Place, path: string, atOnce: number): Promise<number> {
  let made = 0;
  const startMs = performance.now();
  const loop = async (): Promise<void> => {
    while (performance.now() - startMs < sliceMs) {
      const { status, body } = await ask(agent, disk.url + path, "GET", user);
      if (status !== 200) throw new Error(`${path}: ${status} ${body}`);
      made++;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, loop));
  return (made * 1000) / (performance.now() - startMs);
}

const median = (values: readonly number[]): number =>
  [...values].sort((one, other) => one - other)[values.length >> 1] ?? Number.NaN;

/** All six services in one process, that call each other by TCP, or within the process as they do by themselves; in turns. */
export async function place(): Promise<void> {
  const byTcp = {
    rpcserverip: "127.0.0.1",
    rpcserverport: "0",
    "clouddisk.callers": "any",
    "channel.local": "off",
  };
  const places = [await open(byTcp), await open({})] as const;
  try {
    for (const path of paths) {
      for (const atOnce of connections) {
        const rates: [number[], number[]] = [[], []];
        for (let round = -1; round < rounds; round++) {
          for (const at of round % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) {
            const rate = await slice(places[at], path, atOnce);
            if (round >= 0) rates[at].push(rate);
          }
        }
        const ratio = median(rates[1].map((rate, at) => rate / (rates[0][at] ?? Number.NaN)));
        const [tcp, within] = rates.map((all) => Math.round(median(all)));
        console.log(`${path}, ${atOnce} at once: ${tcp}/s by TCP, ${within}/s within, x ${ratio.toFixed(2)}`);
      }
    }
  } finally {
    for (const one of places) {
      one.agent.destroy();
      await one.disk.stop();
    }
  }
}
