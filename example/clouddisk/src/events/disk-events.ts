import { setTimeout as delay } from "node:timers/promises";
import type { Logger, MprpcApplication } from "mprpc";
import {
  Broker,
  type EventHandler,
  type SubscribeOptions,
  type Subscription,
  type TopicDefinition,
} from "mprpc/broker";
import { type ServiceName, serviceNames } from "../common/part.js";
import type { sections } from "../common/sections.js";

/** Until the next try to subscribe, while the broker is away. */
const subscribeAgainMs = 1_000;

/** A subscription that is made as soon as the broker is there. */
export interface Listening {
  /** Takes no more messages, and waits so long for the handlers that run. */
  stop(drainTimeoutMs: number): Promise<void>;
}

/** What the services of the disk tell each other through the broker that the key `broker` names. */
export class DiskEvents {
  readonly broker: Broker;
  readonly #log: Logger;
  readonly #onChange = new Set<(connected: boolean) => void>();

  /** Connects to nothing yet. */
  constructor(app: MprpcApplication<typeof sections>) {
    this.#log = app.log;
    this.broker = new Broker(app);
    this.broker.events.on("connected", () => this.#changed(true));
    this.broker.events.on("disconnected", () => this.#changed(false));
  }

  #changed(connected: boolean): void {
    for (const listener of this.#onChange) listener(connected);
  }

  /**
   * Subscribes in the background, for as long as it takes. `onUp` is told whether messages arrive by now: who is told no has to look by itself.
   */
  listen<Out>(
    topic: TopicDefinition<Out>,
    options: SubscribeOptions,
    handler: EventHandler<Out>,
    onUp: (up: boolean) => void,
  ): Listening {
    const stopping = new AbortController();
    let subscription: Subscription | undefined;
    let isUp = false;
    const tell = (up: boolean): void => {
      if (up === isUp || subscription === undefined || stopping.signal.aborted) return;
      isUp = up;
      if (up) this.#log.info(`messages of ${topic.name} arrive`);
      else this.#log.warn(`the broker is away: messages of ${topic.name} do not arrive`);
      onUp(up);
    };
    const subscribe = async (): Promise<void> => {
      for (let failures = 0; !stopping.signal.aborted; failures++) {
        try {
          subscription = await this.broker.subscribe(topic, options, handler);
          if (stopping.signal.aborted) await subscription.close({ drainTimeoutMs: 0 });
          tell(true);
          return;
        } catch (error) {
          // Once, not at every try.
          if (failures === 0 && !stopping.signal.aborted) {
            this.#log.warn(`no messages of ${topic.name} yet: the database is asked instead`, { error });
          }
          await delay(subscribeAgainMs, undefined, { signal: stopping.signal }).catch(() => {});
        }
      }
    };
    this.#onChange.add(tell);
    const subscribed = subscribe();
    return {
      stop: async (drainTimeoutMs) => {
        stopping.abort();
        this.#onChange.delete(tell);
        // One that still waits for the broker ends with it.
        await Promise.race([subscribed, delay(drainTimeoutMs, undefined, { ref: false })]);
        await subscription?.close({ drainTimeoutMs });
      },
    };
  }

  close(): Promise<void> {
    return this.broker.close();
  }
}

/** Undefined: the conf names no broker. Throws Error for one that cannot reach the services which are elsewhere. */
export function openEvents(
  app: MprpcApplication<typeof sections>,
  services: readonly ServiceName[],
): DiskEvents | undefined {
  const { origins, values } = app.config;
  if (origins.broker.source === "default") return undefined;
  if (values.broker.startsWith("memory:") && services.length < serviceNames.length) {
    throw new Error(
      `broker=memory: carries nothing to other processes, and this one has only ${services.join(", ")}; use redis:// or nats://, or leave it unset`,
    );
  }
  return new DiskEvents(app);
}
