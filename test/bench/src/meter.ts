/** Beyond this many latencies of one window the rest are not kept. */
const samplesMax = 1 << 19;

/** At most so many latencies a second are taken, so that measuring costs little beside a call. */
const samplesPerSecond = 60_000;

/** Primes, so that a step never falls in with the number of calls in flight. */
const strides = [1, 3, 7, 17, 37, 79, 163];

/** Counts the calls of one caller and keeps every so-manieth latency. */
export class Meter {
  running = true;
  completed = 0;
  /** One call of so many is timed. */
  stride = 1;
  #untilSample = 1;
  #recording = false;
  #count = 0;
  readonly #samplesMs = new Float64Array(samplesMax);

  /** Whether the call about to start is to be timed. */
  takesSample(): boolean {
    this.#untilSample -= 1;
    if (this.#untilSample > 0) return false;
    this.#untilSample = this.stride;
    return true;
  }

  /** How many of `calls` that share one latency are to be recorded. */
  samplesOf(calls: number): number {
    this.#untilSample -= calls;
    let samples = 0;
    while (this.#untilSample <= 0) {
      this.#untilSample += this.stride;
      samples += 1;
    }
    return samples;
  }

  record(latencyMs: number): void {
    if (!this.#recording || this.#count === samplesMax) return;
    this.#samplesMs[this.#count] = latencyMs;
    this.#count += 1;
  }

  /** Forgets the warm-up; `callsPerSecond` is the rate it showed. */
  startWindow(callsPerSecond: number): void {
    this.stride =
      strides.find((stride) => callsPerSecond / stride <= samplesPerSecond) ?? strides.at(-1) ?? 1;
    this.#count = 0;
    this.#recording = true;
  }

  endWindow(): void {
    this.#recording = false;
  }

  /** Latencies of the window at the given quantiles (0..1), in microseconds. */
  quantilesUs(quantiles: readonly number[]): number[] {
    const sorted = this.#samplesMs.slice(0, this.#count).sort();
    return quantiles.map((quantile) => {
      const index = Math.min(sorted.length - 1, Math.floor(quantile * sorted.length));
      return (sorted[index] ?? Number.NaN) * 1000;
    });
  }
}

/** What a user writes: `inFlight` loops, each of which awaits its call. */
export async function driveCalls(
  meter: Meter,
  inFlight: number,
  call: () => Promise<unknown>,
): Promise<void> {
  const loop = async () => {
    while (meter.running) {
      if (meter.takesSample()) {
        const startMs = performance.now();
        await call();
        meter.record(performance.now() - startMs);
      } else {
        await call();
      }
      meter.completed += 1;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, loop));
}
