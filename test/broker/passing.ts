import {
  type Broker,
  type BrokerOptions,
  defineTopic,
  type SubscribeOptions,
} from "../../src/broker/index.js";
import { silentLogger } from "../../src/log/logger.js";
import { createRuntime, ManualClock, type TestApp } from "../../src/testing/index.js";
import { Item } from "../support/gen/flow.js";
import { eventually, Recorder } from "../tools/wait.js";

/** One more broker of a test, on the test's own application or another. */
export type OpenBroker = (options?: BrokerOptions, on?: TestApp) => Broker;

/** Resolves when this machine's clock shows `ms` or later. */
export async function wallClock(ms: number): Promise<void> {
  while (Date.now() < ms) await new Promise((resolve) => setImmediate(resolve));
}

/**
 * Resolves when the broker has handed out again what a member had that fell silent: `ackWaitMs` has passed there. The clock of that member
 * stands still, so that nothing is extended. Nothing else may use the topic called `name`.
 */
export async function ackWaitOver(open: OpenBroker, options: SubscribeOptions, name: string): Promise<void> {
  const topic = defineTopic(name, Item);
  const clock = new ManualClock();
  await using still = createRuntime({ log: silentLogger, clock });
  const silent = open({}, still);
  const [taken, again] = [new Recorder<number>(), new Recorder<number>()];
  let leave = (): void => {};
  const left = new Promise<void>((resolve) => {
    leave = resolve;
  });
  // No room for a second: it goes to the other.
  await silent.subscribe(topic, { ...options, concurrency: 1, maxInFlight: 1 }, ({ number }) => {
    taken.push(number);
    return left;
  });
  const other = open();
  await other.publish(topic, { number: 1 });
  await eventually("the silent member has it", async () => {
    clock.advance(0);
    return taken.values.length > 0;
  });
  await other.subscribe(topic, options, ({ number }) => again.push(number));
  await again.until("another has it", () => true);
  leave();
  await silent.close();
}
