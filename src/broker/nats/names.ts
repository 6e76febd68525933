/**
 * What topics and groups are called in NATS. A topic is the subject `PREFIX.t.TOPIC` and the stream `PREFIX=TOPIC`, where a stream's name may
 * have no dots and a topic's no `=`; its dead letters are `PREFIX.d.TOPIC.GROUP.SEQUENCE` in `PREFIX==TOPIC`. A topic and its dead
 * letters have different second parts, and those of two topics a different number of parts or different ones.
 */
export class NatsNames {
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  subject(topic: string): string {
    return `${this.#prefix}.t.${topic}`;
  }

  stream(topic: string): string {
    return `${this.#prefix}=${topic.replaceAll(".", "=")}`;
  }

  /** Of all groups. */
  deadSubjects(topic: string): string {
    return `${this.#prefix}.d.${topic}.*.*`;
  }

  deadSubject(topic: string, group: string, sequence: string): string {
    return `${this.#prefix}.d.${topic}.${group}.${sequence}`;
  }

  deadStream(topic: string): string {
    // No topic has an empty part.
    return `${this.#prefix}==${topic.replaceAll(".", "=")}`;
  }
}
