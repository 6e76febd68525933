/** A job of the outbox that has become due. */
export interface DueJob {
  readonly kind: "put" | "delete";
  readonly node: string;
}

/** What a transaction did that other services want to hear of, once it is committed. */
export class Notes {
  /** Users something was changed of; true: one of their sessions has ended as well. */
  readonly users = new Map<number, boolean>();
  /** By the hash of their contents. */
  readonly jobs = new Map<string, DueJob>();

  changed(userId: number, sessionEnded = false): void {
    this.users.set(userId, sessionEnded || this.users.get(userId) === true);
  }

  due(fileHash: string, { kind, node }: DueJob): void {
    this.jobs.set(fileHash, { kind, node });
  }

  get size(): number {
    return this.users.size + this.jobs.size;
  }

  /** Takes one out of it. */
  take(): Notes | undefined {
    const one = new Notes();
    for (const [userId, sessionEnded] of this.users) {
      this.users.delete(userId);
      one.users.set(userId, sessionEnded);
      return one;
    }
    for (const [fileHash, job] of this.jobs) {
      this.jobs.delete(fileHash);
      one.jobs.set(fileHash, job);
      return one;
    }
    return undefined;
  }

  add(other: Notes): void {
    for (const [userId, sessionEnded] of other.users) this.changed(userId, sessionEnded);
    for (const [fileHash, job] of other.jobs) this.due(fileHash, job);
  }
}
