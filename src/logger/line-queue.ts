import type { Day } from "./day.js";

/** Lines of one day, in order, ready to be written. */
export interface Batch {
  text: string;
  lines: number;
  day: Day;
}

/** First in, first out; taken from in batches. Two flat arrays, because a log call must cost nothing but a push. */
export class LineQueue {
  #lines: string[] = [];
  #days: Day[] = [];
  #head = 0;
  #chars = 0;

  get length(): number {
    return this.#lines.length - this.#head;
  }

  /** UTF-16 units waiting. */
  get chars(): number {
    return this.#chars;
  }

  push(line: string, day: Day): void {
    this.#lines.push(line);
    this.#days.push(day);
    this.#chars += line.length;
  }

  /** Drops the oldest line, if any. */
  shift(): void {
    if (this.length > 0) this.#advance(this.#head + 1, (this.#lines[this.#head] as string).length);
  }

  /** Takes the longest run of lines that are of one day and fit `maxChars`; at least one line when there is any. */
  take(maxChars: number): Batch | undefined {
    if (this.length === 0) return undefined;
    const lines = this.#lines;
    const start = this.#head;
    const day = this.#days[start] as Day;
    // Lines are ropes fresh from pino. Adding them to one rope leaves a single copy, made when it is encoded; join()
    // would make its own first, at more than twice the cost.
    let text = lines[start] as string;
    let end = start + 1;
    while (end < lines.length && this.#days[end] === day) {
      const line = lines[end] as string;
      if (text.length + line.length > maxChars) break;
      text += line;
      end += 1;
    }
    this.#advance(end, text.length);
    return { text, lines: end - start, day };
  }

  clear(): void {
    this.#advance(this.#lines.length, this.#chars);
  }

  #advance(head: number, chars: number): void {
    this.#chars -= chars;
    this.#head = head;
    if (head === this.#lines.length) {
      this.#lines = [];
      this.#days = [];
      this.#head = 0;
    } else if (head > 4096 && head * 2 > this.#lines.length) {
      // Cut in large steps, so that dropping the oldest of a full queue stays cheap.
      this.#lines = this.#lines.slice(head);
      this.#days = this.#days.slice(head);
      this.#head = 0;
    }
  }
}
