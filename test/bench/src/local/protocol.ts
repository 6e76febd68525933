/** How a channel and a provider in one process meet. */
export type LocalWay = "tcp" | "unix" | "inproc";

export type LocalRequest = { kind: "measure"; inFlight: number; sliceMs: number } | { kind: "close" };

/** What each request is answered with. */
export interface LocalAnswers {
  measure: {
    /** Of the clock, for one call. */
    us: number;
    /** Of all processes that take part. */
    cpuUs: number;
  };
  close: null;
}
