import { RpcError } from "../../src/error/rpc-error.js";
import { Status } from "../../src/error/status.js";
import type { AnimalInput, ZooServiceHandler } from "./gen/zoo.js";

export interface Zoo {
  readonly handlers: ZooServiceHandler;
  /** Handlers of Toil that run, whether their callers still wait or not. */
  readonly toiling: number;
}

interface ZooParts {
  /** What Stats says. */
  stats?: () => object;
  /** What Next answers. */
  next?: (said: string) => Promise<string> | string;
  /** Calls of Hold end by themselves after it, so that no case waits for its deadline. Default 20. */
  holdMs?: number;
}

/** The service that is attacked. */
export function createZoo(parts: ZooParts = {}): Zoo {
  const { stats = () => ({}), next = () => "", holdMs = 20 } = parts;
  let waiting: Array<() => void> = [];
  const handlers: ZooServiceHandler = {
    echo: (request) => request,
    hold: (request, { signal }) =>
      new Promise((resolve) => {
        const timer = setTimeout(resolve, holdMs, request);
        signal.addEventListener("abort", () => {
          clearTimeout(timer);
          resolve(request);
        });
      }),
    toil: (request) => new Promise((resolve) => void waiting.push(() => resolve(request))),
    release(request) {
      const done = waiting;
      waiting = [];
      for (const one of done) one();
      return request;
    },
    refuse(request, context) {
      context.replyMetadata.set("x-zoo", "closed");
      context.replyMetadata.set("x-bin", Buffer.of(0, 1, 255));
      throw new RpcError(Status.NOT_FOUND, `no such animal ${request.name.slice(0, 20)}`, {
        details: [{ type: "fuzz.Animal", value: Buffer.from("0a0163", "hex") }],
      });
    },
    grow: (request) => ({ photo: Buffer.alloc(Math.max(0, Math.min(request.legs, 1 << 20)), 7) }),
    async *herd({ legs, photo }) {
      for (let i = 0; i < Math.min(legs, 100); i++) yield { legs: i, photo };
    },
    async count(animals) {
      let legs = 0;
      for await (const _ of animals) legs++;
      return { legs };
    },
    async *parade(animals) {
      yield* animals;
    },
    stats: () => ({ name: JSON.stringify(stats()) }),
    next: async (request) => ({ name: await next(request.name) }),
  };
  return {
    handlers,
    get toiling() {
      return waiting.length;
    },
  };
}

/** An animal with every field set, `depth` deep. */
export function animalOf(seed: number, depth = 2): AnimalInput {
  const inner = depth > 0 ? animalOf(seed + 1, depth - 1) : undefined;
  return {
    name: `cat ${seed} 猫`,
    legs: 4,
    depth: BigInt(-depth),
    chip: 0xdead_beefn + BigInt(seed),
    weight: 3.25 * seed,
    tame: seed % 2 === 0,
    photo: Buffer.from([1, 2, 3, seed & 255]),
    years: [2019, 2024, -seed],
    names: ["Tom", "Ginger"],
    notes: new Map([[BigInt(seed), Buffer.from("shy")]]),
    sort: 1,
    speed: 1.5,
    ...(inner === undefined
      ? { home: { case: "cage", value: "3b" } as const }
      : {
          parents: new Map([["mother", inner]]),
          child: inner,
          litter: [inner],
          home: { case: "host", value: inner } as const,
        }),
  };
}
