import { createHash, randomBytes } from "node:crypto";
import http from "node:http";
import { serviceNames } from "../../src/common/part.js";
import { password, startDisk, type User } from "../support/disk.js";
import { ProductionServers } from "../support/production.js";

const connections = 64;
const measureMs = 8_000;
const users = 16;

interface Reply {
  status: number;
  body: string;
}

function post(agent: http.Agent, url: string, form: Record<string, string>, user?: User): Promise<Reply> {
  const text = new URLSearchParams(form).toString();
  const headers = {
    "content-type": "application/x-www-form-urlencoded",
    "content-length": String(Buffer.byteLength(text)),
    ...user?.headers,
  };
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method: "POST", agent, headers }, (reply) => {
      let body = "";
      reply.setEncoding("utf8").on("data", (chunk: string) => {
        body += chunk;
      });
      reply.on("end", () => resolve({ status: reply.statusCode ?? 0, body }));
      reply.on("error", reject);
    });
    request.on("error", reject);
    request.end(text);
  });
}

/** 64 connections that ask one after the other; calls per second, and milliseconds of a call. */
async function measure(
  what: string,
  call: (agent: http.Agent, turn: number) => Promise<Reply>,
): Promise<void> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: connections });
  const times: number[] = [];
  let turn = 0;
  const run = async (untilMs: number, keep: boolean): Promise<void> => {
    while (performance.now() < untilMs) {
      const startMs = performance.now();
      const { status, body } = await call(agent, turn++);
      if (status !== 200) throw new Error(`${what}: ${status} ${body}`);
      if (keep) times.push(performance.now() - startMs);
    }
  };
  const all = (ms: number, keep: boolean) => {
    const untilMs = performance.now() + ms;
    return Promise.all(Array.from({ length: connections }, () => run(untilMs, keep)));
  };
  await all(2_000, false);
  const startMs = performance.now();
  await all(measureMs, true);
  const seconds = (performance.now() - startMs) / 1000;
  agent.destroy();
  times.sort((one, other) => one - other);
  const at = (share: number): string => (times[Math.floor(times.length * share)] ?? 0).toFixed(1);
  console.log(`${what}: ${Math.round(times.length / seconds)}/s, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`);
}

/** Requests through the gateway, all six services in one process. */
export async function api(production: boolean): Promise<void> {
  const servers = production ? await ProductionServers.start() : undefined;
  const limits = { "account.quota": "1TiB", "log.level": "warn" };
  const disk = await startDisk({ services: [], keep: true, conf: { ...servers?.conf(), ...limits } });
  try {
    await disk.startProcess(serviceNames);
    const all = await Promise.all(Array.from({ length: users }, () => disk.user()));
    const someone = (turn: number): User => all[turn % users] as User;
    const data = randomBytes(100_000);
    const filehash = createHash("sha256").update(data).digest("hex");
    for (const user of all) {
      for (let file = 0; file < 20; file++) {
        const url = `${disk.url}/file/upload?filename=${file}.bin`;
        const body = file === 0 ? data : randomBytes(100);
        await fetch(url, { method: "POST", headers: user.headers, body: new Uint8Array(body) });
      }
    }
    const form = (turn: number) => ({ username: someone(turn).name, password });
    await measure("sign-in", (agent, turn) => post(agent, `${disk.url}/user/signin`, form(turn)));
    await measure("query of 20 files", (agent, turn) =>
      post(agent, `${disk.url}/file/query`, { limit: "20" }, someone(turn)),
    );
    await measure("fastupload of a file the user holds", (agent, turn) =>
      post(agent, `${disk.url}/file/fastupload`, { filehash, filename: `again-${turn}` }, someone(turn)),
    );
  } finally {
    await disk.stop();
    await servers?.close();
  }
}
