/** What is done with each message on either side: what a program would do is async. */
export async function handle(_payload: unknown): Promise<void> {}

/** Publishing and consuming with one client. Topics are made by the first message to them. */
export interface Side {
  readonly name: string;
  /** Makes the topic, and what a group needs, before anything is measured. */
  prepare(topic: string): Promise<void>;
  /** Resolves when the broker has `count` messages more, `inFlight` of them on their way at a time. */
  publish(topic: string, count: number, inFlight: number): Promise<void>;
  /**
   * Takes, handles and acknowledges `count` messages that wait in the topic, `inFlight` at most unsettled. `onFirst`: the first was handled.
   * Resolves when the last was, with what leaves the group.
   */
  consume(
    topic: string,
    count: number,
    inFlight: number,
    onFirst: () => void,
  ): Promise<() => Promise<unknown>>;
  /** The topic and its messages are gone. */
  remove(topic: string): Promise<void>;
  close(): Promise<void>;
}

/** The group of every topic. */
export const group = "bench";

/** `inFlight` loops that run `one` until it has run `count` times. */
export async function inLoops(count: number, inFlight: number, one: () => Promise<unknown>): Promise<void> {
  let begun = 0;
  const loop = async (): Promise<void> => {
    while (begun++ < count) await one();
  };
  await Promise.all(Array.from({ length: inFlight }, loop));
}
