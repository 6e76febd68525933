import { Broker, defineTopic, type TopicDefinition } from "mprpc/broker";
import { LoginRequest } from "../gen/bench.js";
import { loginRequest } from "../login.js";
import { initNode } from "../node.js";
import { group, handle, inLoops, type Side } from "./side.js";

/** This library: messages encoded and decoded, handlers that are async. `drop` deletes what a topic is kept in. */
export async function mprpcSide(
  url: string,
  payloadBytes: number,
  drop: (topic: string) => Promise<unknown>,
): Promise<Side> {
  const app = await initNode("static://127.0.0.1:1", [`broker=${url}`]);
  const broker = new Broker(app);
  const message = loginRequest(payloadBytes);
  const topics = new Map<string, TopicDefinition<LoginRequest, typeof message>>();
  const topicOf = (name: string) => {
    let topic = topics.get(name);
    if (topic === undefined) {
      topic = defineTopic(name, LoginRequest);
      topics.set(name, topic);
    }
    return topic;
  };
  return {
    name: "mprpc",
    async prepare(name) {
      const subscription = await broker.subscribe(topicOf(name), { group }, () => {});
      await subscription.close();
    },
    publish(name, count, inFlight) {
      const topic = topicOf(name);
      return inLoops(count, inFlight, () => broker.publish(topic, message));
    },
    async consume(name, count, inFlight, onFirst) {
      let handled = 0;
      let done = (): void => {};
      const all = new Promise<void>((resolve) => {
        done = resolve;
      });
      const options = { group, concurrency: 64, maxInFlight: inFlight };
      const subscription = await broker.subscribe(topicOf(name), options, async (login) => {
        await handle(login.pwd);
        if (++handled === count) done();
        else if (handled === 1) onFirst();
      });
      await all;
      // With it the acknowledgements that wait are sent.
      return () => subscription.close();
    },
    async remove(name) {
      topics.delete(name);
      await drop(name);
    },
    async close() {
      await broker.close();
      await app.close();
    },
  };
}
