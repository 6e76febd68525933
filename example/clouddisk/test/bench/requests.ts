import http from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import type { User } from "../support/disk.js";

export interface Reply {
  status: number;
  body: string;
}

/** A request of a user; `body` are bytes, an object is sent as JSON. */
export function ask(
  agent: http.Agent,
  url: string,
  method: string,
  user: User,
  body?: Buffer | object,
): Promise<Reply> {
  const bytes = body === undefined || Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
  const type = bytes === body ? "application/octet-stream" : "application/json";
  const headers = {
    ...(bytes === undefined ? {} : { "content-type": type }),
    ...user.headers,
    "content-length": String(bytes?.length ?? 0),
  };
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
    request.end(bytes);
  });
}

export function print(what: string, times: number[]): void {
  const sorted = [...times].sort((one, other) => one - other);
  const at = (share: number): string => (sorted[Math.floor(sorted.length * share)] ?? 0).toFixed(1);
  console.log(
    `${what}: ${times.length} times, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(0.9999)} ms`,
  );
}

/** While `work` goes on, somebody else looks at his files again and again. */
export async function beside(
  what: string,
  look: () => Promise<Reply>,
  work: () => Promise<unknown>,
  meanwhile = "another user's list",
): Promise<void> {
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
  print(`  ${meanwhile} meanwhile`, times);
}
