/** An endpoint as a balancer sees it. */
export interface Candidate {
  /** Share of the calls, relative to the others; > 0. */
  readonly weight: number;
  /** Peak EWMA latency times calls in flight; lower is better. */
  load(nowMs: number): number;
}

/** Chooses an endpoint for each call. One instance serves one service of one channel. */
export interface Balancer<C extends Candidate> {
  /** The endpoints to choose from changed. */
  update(candidates: readonly C[]): void;
  /** The endpoint for the next call; undefined when there is none. */
  pick(nowMs: number): C | undefined;
}
