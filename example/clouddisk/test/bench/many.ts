import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import http from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { serviceNames } from "../../src/common/part.js";
import { startDisk, type User } from "../support/disk.js";

const connections = 8;
const fileBytes = 2_000;

interface Reply {
  status: number;
  body: string;
}

function ask(agent: http.Agent, url: string, method: string, user: User, body?: Buffer): Promise<Reply> {
  const type = body === undefined ? {} : { "content-type": "application/octet-stream" };
  const headers = { ...type, ...user.headers, "content-length": String(body?.length ?? 0) };
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method, agent, headers }, (reply) => {
      let text = "";
      reply.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      reply.on("end", () => resolve({ status: reply.statusCode ?? 0, body: text }));
      reply.on("error", reject);
    });
    request.on("error", reject);
    request.end(body);
  });
}

function print(what: string, times: number[]): void {
  const sorted = [...times].sort((one, other) => one - other);
  const at = (share: number): string => (sorted[Math.floor(sorted.length * share)] ?? 0).toFixed(1);
  console.log(
    `${what}: ${times.length} times, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(0.9999)} ms`,
  );
}

/** While `work` goes on, somebody else looks at his files again and again. */
async function beside(what: string, look: () => Promise<Reply>, work: () => Promise<unknown>): Promise<void> {
  let over = false;
  const times: number[] = [];
  const looking = (async () => {
    while (!over) {
      const startMs = performance.now();
      const { status } = await look();
      if (status !== 200) console.log(`  a look said ${status}`);
      times.push(performance.now() - startMs);
      await delay(20);
    }
  })();
  const startMs = performance.now();
  await work();
  const ms = performance.now() - startMs;
  over = true;
  await looking;
  console.log(`${what}: ${ms.toFixed(0)} ms`);
  print("  another user's list meanwhile", times);
}

/** Small files of one user by 8 connections, then what is done to all of them, and how another user fares. */
export async function many(count: number): Promise<void> {
  const conf = { "account.quota": "1TiB", "log.level": "warn" };
  const disk = await startDisk({ services: [], keep: true, conf });
  const agent = new http.Agent({ keepAlive: true, maxSockets: connections });
  const otherAgent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  try {
    const { pid } = await disk.startProcess(serviceNames);
    const [user, other] = [await disk.user(), await disk.user()];
    const cpuMs = (): number => {
      const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
      // Ticks of 10 ms, of the process and of the system for it.
      return (Number(fields[11]) + Number(fields[12])) * 10;
    };
    const look = () => ask(otherAgent, `${disk.url}/api/files`, "GET", other);
    let next = 0;
    const upload = async (): Promise<void> => {
      for (let file = next++; file < count; file = next++) {
        const url = `${disk.url}/file/upload?filename=file%20${file}.txt`;
        const { status, body } = await ask(agent, url, "POST", user, randomBytes(fileBytes));
        if (status !== 200) throw new Error(`${status} ${body}`);
      }
    };
    const startCpuMs = cpuMs();
    await beside(`${count} files of ${fileBytes} bytes by ${connections} connections`, look, () =>
      Promise.all(Array.from({ length: connections }, upload)),
    );
    console.log(`  the disk's CPU: ${((cpuMs() - startCpuMs) / count).toFixed(2)} ms a file`);
    for (const route of [
      "/api/files?limit=100",
      "/api/files?limit=1000",
      "/api/files?q=99",
      "/file/query?limit=10",
    ]) {
      const times: number[] = [];
      for (let turn = 0; turn < 50; turn++) {
        const startMs = performance.now();
        await ask(agent, disk.url + route, route.startsWith("/file") ? "POST" : "GET", user);
        times.push(performance.now() - startMs);
      }
      print(route, times);
    }
    const ids: number[] = [];
    for (let cursor = ""; ; ) {
      const { body } = await ask(agent, `${disk.url}/api/files?limit=1000&cursor=${cursor}`, "GET", user);
      const page = JSON.parse(body) as { entries: Array<{ id: number }>; nextCursor: string };
      ids.push(...page.entries.map(({ id }) => id));
      cursor = page.nextCursor;
      if (cursor === "") break;
    }
    const json = { ...user, headers: { ...user.headers, "content-type": "application/json" } };
    await beside("all into the trash", look, async () => {
      for (let start = 0; start < ids.length; start += 1000) {
        const some = ids.slice(start, start + 1000);
        const body = Buffer.from(JSON.stringify({ ids: some }));
        const batch = await ask(agent, `${disk.url}/api/files/batch/trash`, "POST", json, body);
        if (batch.status === 200) continue;
        await Promise.all(some.map((id) => ask(agent, `${disk.url}/api/files/${id}`, "DELETE", user)));
      }
    });
    await beside("the trash emptied", look, async () => {
      for (let left = 1; left > 0; ) {
        const { status, body } = await ask(agent, `${disk.url}/api/trash`, "DELETE", user);
        const reply = JSON.parse(body) as { left?: number };
        console.log(`  ${status} ${body}`);
        left = reply.left ?? 0;
      }
    });
  } finally {
    agent.destroy();
    otherAgent.destroy();
    await disk.stop();
  }
}
