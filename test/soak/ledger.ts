import { closeSync, existsSync, openSync, readdirSync, readSync, writeSync } from "node:fs";
import path from "node:path";

/** How a call ended, as its caller saw it. */
export const outcomes = { ok: 1, maybe: 2, never: 3, yes: 4, sent: 5 } as const;
export type Outcome = keyof typeof outcomes;
const nameOf = new Map<number, Outcome>(
  Object.entries(outcomes).map(([name, value]) => [value, name as Outcome]),
);

const recordBytes = 8;

/**
 * A file of pairs of numbers, each written before the program goes on: what stands in it survives a kill -9. A process
 * keeps two: the calls its handlers ran, and how the calls it made have ended.
 */
class PairFile {
  readonly #file: number;
  readonly #record = Buffer.alloc(recordBytes);

  constructor(file: string) {
    this.#file = openSync(file, "a");
  }

  write(first: number, second: number): void {
    this.#record.writeUInt32LE(first, 0);
    this.#record.writeUInt32LE(second, 4);
    writeSync(this.#file, this.#record);
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** What one process writes. */
export class LedgerPen {
  readonly #runs: PairFile;
  readonly #ends: PairFile;

  constructor(folder: string, life: number) {
    this.#runs = new PairFile(path.join(folder, `runs-${life}`));
    this.#ends = new PairFile(path.join(folder, `ends-${life}`));
  }

  /** The handler of a call begins. */
  run(callerLife: number, call: number): void {
    this.#runs.write(callerLife, call);
  }

  end(call: number, outcome: Outcome): void {
    this.#ends.write(call, outcomes[outcome]);
  }

  close(): void {
    this.#runs.close();
    this.#ends.close();
  }
}

/** Small numbers by index, as many as are asked for. */
class Counts {
  #values = new Uint8Array(1 << 16);

  get(index: number): number {
    return this.#values[index] ?? 0;
  }

  set(index: number, value: number): void {
    if (index >= this.#values.length) {
      const larger = new Uint8Array(2 ** Math.ceil(Math.log2(index + 1)));
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[index] = value;
  }
}

interface Calls {
  runs: Counts;
  ends: Counts;
}

export interface LedgerTotals {
  /** Ends by outcome. */
  ends: Record<Outcome, number>;
  runs: number;
}

/**
 * Everybody's files, read as they grow. What must hold of each call, whatever happened to the processes: its handler
 * ran at most once; not at all where the caller was told `never`; once where it was told of success or `yes`.
 */
export class LedgerBook {
  readonly totals: LedgerTotals = { ends: { ok: 0, maybe: 0, never: 0, yes: 0, sent: 0 }, runs: 0 };
  readonly #folder: string;
  readonly #onFault: (text: string) => void;
  readonly #calls = new Map<number, Calls>();
  readonly #files = new Map<string, { file: number; position: number }>();
  readonly #buffer = Buffer.alloc(recordBytes * 8192);

  constructor(folder: string, onFault: (text: string) => void) {
    this.#folder = folder;
    this.#onFault = onFault;
  }

  /**
   * Takes in what was written since the last time. Ends are read before runs: the run of every end that is read stands
   * in its file by then.
   */
  read(): void {
    const names = existsSync(this.#folder) ? readdirSync(this.#folder) : [];
    const fresh: { life: number; call: number }[] = [];
    for (const name of names.filter((one) => one.startsWith("ends-"))) {
      const life = Number(name.slice(5));
      this.#readPairs(name, (call, value) => {
        const outcome = nameOf.get(value);
        if (outcome === undefined) throw new Error(`${name} has the outcome ${value}`);
        this.totals.ends[outcome]++;
        const { ends } = this.#of(life);
        if (ends.get(call) !== 0) this.#onFault(`call ${life}:${call} ended twice`);
        ends.set(call, value);
        fresh.push({ life, call });
      });
    }
    for (const name of names.filter((one) => one.startsWith("runs-"))) {
      this.#readPairs(name, (life, call) => {
        this.totals.runs++;
        const { runs, ends } = this.#of(life);
        const count = runs.get(call) + 1;
        runs.set(call, count);
        if (count === 2) this.#onFault(`the handler of call ${life}:${call} ran twice`);
        if (ends.get(call) === outcomes.never) this.#ranThoughNever(life, call);
      });
    }
    for (const { life, call } of fresh) this.#checkEnd(life, call);
  }

  #checkEnd(life: number, call: number): void {
    const { runs, ends } = this.#of(life);
    const outcome = nameOf.get(ends.get(call));
    const ran = runs.get(call) > 0;
    if ((outcome === "ok" || outcome === "yes") && !ran)
      this.#onFault(`call ${life}:${call} ended ${outcome}, and no handler ran`);
  }

  #ranThoughNever(life: number, call: number): void {
    this.#onFault(`the handler of call ${life}:${call} ran, and its caller was told executed: never`);
  }

  #of(life: number): Calls {
    let calls = this.#calls.get(life);
    if (calls === undefined) {
      calls = { runs: new Counts(), ends: new Counts() };
      this.#calls.set(life, calls);
    }
    return calls;
  }

  #readPairs(name: string, take: (first: number, second: number) => void): void {
    let state = this.#files.get(name);
    if (state === undefined) {
      state = { file: openSync(path.join(this.#folder, name), "r"), position: 0 };
      this.#files.set(name, state);
    }
    for (;;) {
      const bytes = readSync(state.file, this.#buffer, 0, this.#buffer.length, state.position);
      // A record that is being written is taken the next time.
      const whole = bytes - (bytes % recordBytes);
      for (let at = 0; at < whole; at += recordBytes)
        take(this.#buffer.readUInt32LE(at), this.#buffer.readUInt32LE(at + 4));
      state.position += whole;
      if (whole === 0) return;
    }
  }

  close(): void {
    for (const { file } of this.#files.values()) closeSync(file);
    this.#files.clear();
  }
}
