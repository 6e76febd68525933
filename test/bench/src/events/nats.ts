import { AckPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { group, handle, inLoops, type Side } from "./side.js";

/** The client of NATS as it is: JetStream's publish, and a durable consumer that pulls. */
export async function bareNats(port: number, payload: Buffer): Promise<Side> {
  const connection = await connect({ servers: `127.0.0.1:${port}` });
  const manager = await jetstreamManager(connection);
  const client = jetstream(connection);
  const subjectOf = (topic: string): string => `bare.${topic}`;
  return {
    name: "@nats-io",
    async prepare(topic) {
      await manager.streams.add({ name: topic, subjects: [subjectOf(topic)] });
      await manager.consumers.add(topic, {
        durable_name: group,
        ack_policy: AckPolicy.Explicit,
        max_ack_pending: -1,
      });
    },
    publish: (topic, count, inFlight) => {
      const subject = subjectOf(topic);
      return inLoops(count, inFlight, () => client.publish(subject, payload));
    },
    async consume(topic, count, inFlight, onFirst) {
      const consumer = await client.consumers.get(topic, group);
      const messages = await consumer.consume({ max_messages: inFlight });
      let [taken, handled] = [0, 0];
      let done = (): void => {};
      const all = new Promise<void>((resolve) => {
        done = resolve;
      });
      for await (const message of messages) {
        void handle(message.data).then(() => {
          message.ack();
          if (++handled === count) done();
          else if (handled === 1) onFirst();
        });
        if (++taken === count) break;
      }
      await all;
      return () => connection.flush();
    },
    async remove(topic) {
      await manager.streams.delete(topic);
    },
    close: () => connection.close(),
  };
}
