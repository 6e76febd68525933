import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "mprpc";
import type { DiskEvents } from "../events/disk-events.js";
import { Notes } from "../events/notes.js";
import { deleteDue, putDue, userChanged } from "../events/topics.js";

/** Messages on their way to the broker at once. */
const inFlightMax = 64;
/** Beyond so many that wait for a broker which is away, those who want to know ask the database. */
const waitingMax = 10_000;
const publishTimeoutMs = 5_000;
/** Until the next try, after one that failed. */
const tryAgainMs = 500;
/** A stop does not wait long for a broker that is gone. */
const stopMaxMs = 1_000;

/**
 * Tells the other services what a committed transaction did. Nobody waits for it, and nothing depends on it: what a broker never gets is found in
 * the database.
 */
export class Announcer {
  readonly #events: DiskEvents;
  readonly #log: Logger;
  readonly #waiting = new Notes();
  #inFlight = 0;
  #pausing = false;
  #away = false;
  #stopped = false;

  constructor(events: DiskEvents, log: Logger) {
    this.#events = events;
    this.#log = log;
  }

  /** Of one user, and of one job, what waits is told once. */
  tell(notes: Notes): void {
    if (this.#stopped || this.#waiting.size + notes.size > waitingMax) return;
    this.#waiting.add(notes);
    this.#pump();
  }

  /** Waits a moment for what is on its way. */
  async stop(): Promise<void> {
    const giveUpAtMs = performance.now() + stopMaxMs;
    while (this.#inFlight + this.#waiting.size > 0 && performance.now() < giveUpAtMs) await delay(5);
    this.#stopped = true;
  }

  #pump(): void {
    while (this.#inFlight < inFlightMax && !this.#pausing && !this.#stopped) {
      const one = this.#waiting.take();
      if (one === undefined) return;
      this.#inFlight++;
      void this.#publish(one);
    }
  }

  /** Never rejects. */
  async #publish(one: Notes): Promise<void> {
    try {
      await this.#send(one);
      if (this.#away) this.#log.info("the broker is back");
      this.#away = false;
    } catch (error) {
      // Once, not for every message.
      if (!this.#away && !this.#stopped) this.#log.warn("the broker is away", { error });
      this.#away = true;
      if (this.#waiting.size < waitingMax) this.#waiting.add(one);
      this.#pause();
    } finally {
      this.#inFlight--;
      this.#pump();
    }
  }

  #pause(): void {
    if (this.#pausing) return;
    this.#pausing = true;
    const resume = (): void => {
      this.#pausing = false;
      this.#pump();
    };
    setTimeout(resume, tryAgainMs).unref();
  }

  async #send({ users, jobs }: Notes): Promise<void> {
    const { broker } = this.#events;
    const options = { timeoutMs: publishTimeoutMs };
    for (const [userId, sessionEnded] of users) {
      await broker.publish(userChanged, { userId: BigInt(userId), sessionEnded }, options);
    }
    for (const [fileHash, { kind, node }] of jobs) {
      await broker.publish(kind === "delete" ? deleteDue : putDue(node), { fileHash }, options);
    }
  }
}
