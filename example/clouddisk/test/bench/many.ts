import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import http from "node:http";
import { serviceNames } from "../../src/common/part.js";
import { startDisk } from "../support/disk.js";
import { ask, beside, print } from "./requests.js";

const connections = 8;
const fileBytes = 2_000;

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
    await beside("all into the trash", look, async () => {
      for (let start = 0; start < ids.length; start += 1000) {
        const some = ids.slice(start, start + 1000);
        const batch = await ask(agent, `${disk.url}/api/files/batch/trash`, "POST", user, { ids: some });
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
