import { reportToStderr } from "../log/report.js";
import { type Destination, messageOf } from "./destination.js";
import { type Mailbox, slotCount } from "./mailbox.js";

/** `blocked`: the destination takes nothing just now (a full pipe); `failed`: it answered with an error. */
export type StepResult = "idle" | "written" | "blocked" | "failed";

/** How soon a pipe that was full is tried again, ms: nothing tells when its reader has made room. */
export const blockedRetryMs = 10;

/** Empties the slots in order into the destination. Whoever calls `step` must hold the right to write. */
export class BatchWriter {
  readonly #mailbox: Mailbox;
  readonly #destination: Destination;
  #slot: number;

  constructor(mailbox: Mailbox, destination: Destination, firstSlot: number) {
    this.#mailbox = mailbox;
    this.#destination = destination;
    this.#slot = firstSlot;
  }

  /** Writes the oldest full slot as far as it goes. */
  step(): StepResult {
    const content = this.#mailbox.content(this.#slot);
    if (content === undefined) return "idle";
    const { bytes, day } = content;
    let { offset } = content;
    try {
      while (offset < bytes.length) {
        const after = this.#destination.write(bytes, offset, day);
        if (after === offset) return "blocked";
        offset = after;
        this.#mailbox.setOffset(this.#slot, offset);
        if (this.#mailbox.setFailing(false))
          reportToStderr(`writing to ${this.#destination.nameOf(day)} again`);
      }
    } catch (error) {
      if (this.#mailbox.setFailing(true)) {
        const name = this.#destination.nameOf(day);
        reportToStderr(
          `cannot write ${name}: ${messageOf(error)}; lines wait in the queue until it can be written`,
        );
      }
      return "failed";
    }
    this.skip();
    return "written";
  }

  /** Gives the oldest slot up, written or not. */
  skip(): void {
    this.#mailbox.free(this.#slot);
    this.#slot = (this.#slot + 1) % slotCount;
  }
}
