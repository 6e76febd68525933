import { randomBytes } from "node:crypto";
import http from "node:http";
import path from "node:path";
import { serviceNames } from "../../src/common/part.js";
import { startDisk, type User } from "../support/disk.js";
import { seed } from "../support/seed.js";
import { ask, beside, print, type Reply } from "./requests.js";

const connections = 32;
const filesEach = 10;

interface Listed {
  entries: Array<{ id: number }>;
  nextCursor: string;
}

/** One user with many files in a folder, and what another one of very many waits while all of them are listed, moved and deleted. */
export async function users(count: number, files: number): Promise<void> {
  const conf = { "account.quota": "1TiB", "log.level": "warn" };
  const disk = await startDisk({ services: [], keep: true, conf });
  const agent = new http.Agent({ keepAlive: true, maxSockets: connections });
  const otherAgent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  try {
    const database = `sqlite:${path.join(disk.dataFolder, "clouddisk.db")}`;
    const seeded = await seed(database, { users: count, filesEach, files });
    await disk.startProcess(serviceNames);
    const [owner, other] = seeded.users as [User, User];
    const call = async (method: string, route: string, body?: object): Promise<Reply> => {
      const reply = await ask(agent, disk.url + route, method, owner, body);
      if (reply.status !== 200) throw new Error(`${route}: ${reply.status} ${reply.body}`);
      return reply;
    };
    const json = async <T>(method: string, route: string, body?: object): Promise<T> =>
      JSON.parse((await call(method, route, body)).body) as T;
    const note = randomBytes(2_000);
    let written = 0;
    const look = () => ask(otherAgent, `${disk.url}/api/files`, "GET", other);
    // One that waits for its turn to write, and for the disk.
    const write = () =>
      ask(otherAgent, `${disk.url}/file/upload?filename=w${written++}`, "POST", other, note);
    const turns = [look, look, look, write];
    let turn = 0;
    const lookOrWrite = () => (turns[turn++ % turns.length] as typeof look)();
    const besideWrites = (what: string, work: () => Promise<unknown>) =>
      beside(what, lookOrWrite, work, "another user's lists, and every fourth time an upload,");

    await beside(`${count} users list their files, ${connections} at once`, look, async () => {
      const times: number[] = [];
      let next = 0;
      const one = async (): Promise<void> => {
        for (let at = next++; at < 3 * count; at = next++) {
          const startMs = performance.now();
          const user = seeded.users[at % count] as User;
          await ask(agent, `${disk.url}/api/files?limit=100`, "GET", user);
          times.push(performance.now() - startMs);
        }
      };
      await Promise.all(Array.from({ length: connections }, one));
      print("  each of them", times);
    });
    const ids: number[] = [];
    await beside(`${files} files listed, 1,000 a page`, look, async () => {
      for (let cursor = ""; ids.length === 0 || cursor !== ""; ) {
        const route = `/api/files?parent=${seeded.folderId}&limit=1000&cursor=${cursor}`;
        const page = await json<Listed>("GET", route);
        ids.push(...page.entries.map(({ id }) => id));
        cursor = page.nextCursor;
      }
    });
    for (const [what, query] of [
      ["a search with hits", "77"],
      ["a search without", "nowhere"],
    ] as const) {
      await beside(`${what}, 50 times`, look, async () => {
        for (let time = 0; time < 50; time++) await call("GET", `/api/files?q=${query}`);
      });
    }
    const batch = async (operation: string, more: object = {}): Promise<void> => {
      for (let start = 0; start < ids.length; start += 1000) {
        await call("POST", `/api/files/batch/${operation}`, { ids: ids.slice(start, start + 1000), ...more });
      }
    };
    const { entry } = await json<{ entry: { id: number } }>("POST", "/api/folders", {
      parentId: 0,
      name: "moved",
    });
    await besideWrites("all moved into another folder", () => batch("move", { parentId: entry.id }));
    await besideWrites("all into the trash", () => batch("trash"));
    await besideWrites("all restored", () => batch("restore"));
    await besideWrites("their folder into the trash", () => call("DELETE", `/api/files/${entry.id}`));
    await besideWrites("the trash emptied", async () => {
      for (let left = 1; left > 0; ) ({ left } = await json<{ left: number }>("DELETE", "/api/trash"));
    });
  } finally {
    agent.destroy();
    otherAgent.destroy();
    await disk.stop();
  }
}
