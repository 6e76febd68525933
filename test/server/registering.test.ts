import { expect, test } from "vitest";
import { defineService } from "../../src/codec.js";
import type { Registration, RegistrationHandle, Registry } from "../../src/registry/registry.js";
import { RpcProvider } from "../../src/server/provider.js";
import { memoryRegistry, settle } from "../../src/testing/index.js";
import { Cluster } from "../support/cluster.js";
import { Blob } from "../support/gen/probe.js";

/** A provider of many services, which it registers several at a time. */

/** Registers when it is told to, and keeps what there is. */
class SlowRegistry implements Registry {
  readonly name = "slow:";
  readonly begun: string[] = [];
  readonly standing = new Set<string>();
  #underWay: Array<{ service: string; end: (error?: Error) => void }> = [];
  readonly #inner = memoryRegistry();

  get underWay(): number {
    return this.#underWay.length;
  }

  register({ service }: Registration): Promise<RegistrationHandle> {
    this.begun.push(service);
    return new Promise((resolve, reject) => {
      const end = (error?: Error): void => {
        if (error !== undefined) {
          reject(error);
          return;
        }
        this.standing.add(service);
        resolve({ unregister: async () => void this.standing.delete(service) });
      };
      this.#underWay.push({ service, end });
    });
  }

  /** Lets those that are under way end; the one of `refused` is refused. */
  async endAll(refused?: string): Promise<void> {
    for (const { service, end } of this.#underWay.splice(0)) {
      end(service === refused ? new Error(`${service} is refused`) : undefined);
    }
    await settle();
  }

  watch: Registry["watch"] = (service, onSnapshot) => this.#inner.watch(service, onSnapshot);
  list = () => this.#inner.list();
  close = () => this.#inner.close();
}

async function startWithMany(services: number) {
  const cluster = new Cluster({});
  const registry = new SlowRegistry();
  const provider = new RpcProvider(cluster.runtime({ registry }));
  for (let i = 0; i < services; i++) {
    const service = defineService({
      typeName: `many.Service${i}`,
      methods: { echo: { name: "Echo", input: Blob, output: Blob } },
    });
    provider.notifyService(service, { echo: (request) => request });
  }
  const starting = provider.start();
  starting.catch(() => {});
  cluster.onClose(() => provider.shutdown());
  await settle();
  return { registry, provider, starting };
}

test("sixteen at a time, each once, and it has started when all of them stand", async () => {
  const { registry, starting } = await startWithMany(40);
  let started = false;
  void starting.then(() => {
    started = true;
  });
  const wave = [];
  while (registry.underWay > 0) {
    expect(started).toBe(false);
    wave.push(registry.underWay);
    await registry.endAll();
  }
  expect(wave).toEqual([16, 16, 8]);
  await starting;
  expect(registry.standing.size).toBe(40);
  expect(new Set(registry.begun).size).toBe(40);
});

test("one that is refused: no more are begun, those that stand go again, and the start says why", async () => {
  const { registry, provider, starting } = await startWithMany(40);
  await registry.endAll();
  expect(registry.standing.size).toBe(16);
  // The first of its sixteen: behind it nobody has asked for the next yet.
  await registry.endAll("many.Service16");
  await expect(starting).rejects.toThrow("many.Service16 is refused");
  expect(registry.standing.size).toBe(0);
  expect(registry.underWay).toBe(0);
  expect(registry.begun.length).toBe(32);
  expect(provider.connections).toBe(0);
});
