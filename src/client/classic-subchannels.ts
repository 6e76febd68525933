import type { OptionRule } from "../base/options.js";
import { messages } from "../error/messages.js";
import { classicDialects } from "../protocol/classic/classic-wire.js";
import { shortServiceName } from "../registry/registry.js";
import type { ClassicChoice, ClassicUse } from "../runtime/runtime.js";
import type { ClientAttempt } from "./client-call.js";
import type { Subchannel } from "./subchannel.js";

const isUse = (value: unknown): value is ClassicUse =>
  typeof value === "boolean" || classicDialects.some((dialect) => dialect === value);

/** `ChannelOptions.classic` */
export const classicChoice: OptionRule = {
  expected: `true, false, a dialect (${classicDialects.join(", ")}), or an object such as { "fixbug.UserServiceRpc": "varint", "*": false }`,
  accepts(value) {
    if (isUse(value)) return true;
    if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
    return Object.values(value).every(isUse);
  },
};

/**
 * Whether classic providers of `service` may be called, and in which dialect if one is given. The first choice that names
 * the service counts. If none does, they may be called unless the registry has credentials: classic providers cannot prove
 * who they are.
 */
export function useOfClassic(
  service: string,
  choices: ReadonlyArray<ClassicChoice | undefined>,
  authenticated: boolean,
): ClassicUse {
  for (const choice of choices) {
    if (choice === undefined) continue;
    if (typeof choice !== "object") return choice;
    const name = [service, shortServiceName(service), "*"].find((one) => Object.hasOwn(choice, one));
    const use = name === undefined ? undefined : choice[name];
    if (use !== undefined) return use;
  }
  return !authenticated;
}

/** The classic providers of one service: called when no mprpc provider can be. */
export class ClassicSubchannels {
  readonly #random: () => number;
  /** Which methods each of them has a znode for; `undefined`: not known, so any method may be called. */
  #methods: ReadonlyMap<Subchannel, readonly string[] | undefined> = new Map();

  constructor(random: () => number) {
    this.#random = random;
  }

  update(methods: ReadonlyMap<Subchannel, readonly string[] | undefined>): void {
    this.#methods = methods;
  }

  get size(): number {
    return this.#methods.size;
  }

  get all(): Iterable<Subchannel> {
    return this.#methods.keys();
  }

  has(subchannel: Subchannel): boolean {
    return this.#methods.has(subchannel);
  }

  /** Whether one of them has the method of `call`. */
  offer(attempt: ClientAttempt): boolean {
    return this.#offering(attempt).length > 0;
  }

  pick(attempt: ClientAttempt): Subchannel | undefined {
    const able = this.#offering(attempt).filter((subchannel) => subchannel.available);
    return able[Math.floor(this.#random() * able.length)];
  }

  /** One that is down but may be tried anyway. */
  probe(attempt: ClientAttempt): Subchannel | undefined {
    return this.#offering(attempt).find((subchannel) => subchannel.probeable);
  }

  /** Why each of them does not take `call`. */
  *reasons(attempt: ClientAttempt): Generator<string> {
    for (const [subchannel, names] of this.#methods) {
      if (!offers(names, attempt))
        yield messages.classicMethodMissing(subchannel.endpoint, attempt.method.name);
      else
        yield subchannel.failure === ""
          ? messages.classicNotUsed(subchannel.endpoint)
          : messages.classicDown(subchannel.failure);
    }
  }

  #offering(attempt: ClientAttempt): Subchannel[] {
    return [...this.#methods].filter(([, names]) => offers(names, attempt)).map(([subchannel]) => subchannel);
  }
}

function offers(methods: readonly string[] | undefined, attempt: ClientAttempt): boolean {
  // Classic providers do not have the built-in services.
  if (attempt.call.lookup !== undefined) return false;
  return methods === undefined || methods.includes(attempt.method.name);
}
