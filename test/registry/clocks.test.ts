import { beforeAll, describe, expect, test } from "vitest";
import { Child } from "../tools/child.js";
import { consulProgram } from "../tools/consul.js";
import { etcdProgram } from "../tools/etcd.js";
import { sharedConsul } from "../tools/shared-consul.js";
import { sharedEtcd } from "../tools/shared-etcd.js";
import { eventually, timed } from "../tools/wait.js";
import { freePort } from "../tools/zookeeper.js";

// Processes whose wall clocks are hours apart: nothing of ours compares the times of two machines.

beforeAll(() => {
  consulProgram();
  etcdProgram();
});

const hourMs = 3_600_000;
const script = new URL("clocks-process.ts", import.meta.url).pathname;
const shifted = new URL("../tools/shifted-clock.ts", import.meta.url).pathname;

/** A process on a clock that is off by so many hours. */
function start(hours: number, ...args: string[]): Child {
  const env = { ...process.env, SHIFT_MS: String(hours * hourMs) };
  return new Child(process.execPath, ["--import", "tsx", "--import", shifted, script, ...args], env);
}

const lists = ({ output }: Child): string[] => output.match(/(?<=list: )[\d,]*/g) ?? [];
const calls = ({ output }: Child): number => output.match(/^called /gm)?.length ?? 0;

/** Resolves when each has called on, and shows this list. */
async function seen(callers: readonly Child[], ports: readonly number[]): Promise<void> {
  const wanted = [...ports].sort((a, b) => a - b).join();
  const before = callers.map(calls);
  await eventually(`the list ${wanted}`, async () =>
    callers.every((caller, i) => lists(caller).at(-1) === wanted && calls(caller) > (before[i] ?? 0)),
  );
}

const registries = {
  consul: async () => {
    const { server, prefix } = await sharedConsul();
    return `consul://${server.address}/${prefix}?ttl=3s`;
  },
  etcd: async () => {
    const { server, prefix } = await sharedEtcd();
    return `etcd://${server.address}/${prefix}?ttl=3s`;
  },
};

describe.concurrent("clocks that are hours apart", { timeout: 180_000 }, () => {
  test.each(Object.entries(registries))("%s: two callers and their providers", async (_, urlOf) => {
    const url = await urlOf();
    const [first, second] = [await freePort(), await freePort()];
    const running: Child[] = [];
    const begin = (hours: number, ...args: string[]): Child => {
      const child = start(hours, ...args);
      running.push(child);
      return child;
    };
    try {
      const ahead = begin(1, "provider", url, String(first));
      const callers = [begin(-1, "caller", url), begin(26, "caller", url)];
      expect(await ahead.line(/^the clock shows/)).not.toBe(await callers[0]?.line(/^the clock shows/));
      await seen(callers, [first]);

      const behind = begin(-1, "provider", url, String(second));
      await seen(callers, [first, second]);
      await behind.kill();
      // By the registry's own time, whatever the clock of the dead one showed.
      await timed("a killed provider whose clock was an hour behind is dropped", () =>
        seen(callers, [first]),
      );

      for (const caller of callers) {
        const shown = lists(caller);
        expect(shown.slice(shown.indexOf(String(first)))).not.toContain("");
        // A call may be under way to a provider that is killed; no other one fails.
        expect((caller.output.match(/^failed: .*/gm) ?? []).length).toBeLessThanOrEqual(1);
      }

      // Of two with one address the one that came later counts, though its clock is four days behind the other's.
      const address = String(await freePort());
      const earlier = begin(48, "entry", url, address);
      await earlier.line(/^registered/);
      const later = begin(-48, "entry", url, address);
      await Promise.all([later.line(/^registered/), earlier.line(/^lost/)]);
      expect(later.output).not.toContain("lost");
    } finally {
      await Promise.all(running.map((child) => child.kill()));
    }
  });
});
