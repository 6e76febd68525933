/** What a fresh process tells of its start. */
export interface StartFacts {
  /** From the start of the process to the first line of the program, ms: node itself. */
  nodeMs: number;
  /** `import` of the library, ms, and what it added to resident memory. */
  importMs: number;
  importRssBytes: number;
  /** Provider: from the start of the process, and from the end of the import, to listening, ms. */
  listeningMs?: number;
  listeningAfterImportMs?: number;
  /** Caller: latencies of its first calls, in their order; of the first, its connection included, ms. */
  callsMs?: number[];
}

export type StartRequest = { kind: "facts" } | { kind: "close" };

export interface StartAnswers {
  facts: StartFacts;
  close: null;
}

export const startTargets = ["mprpc", "grpc-js"] as const;
export type StartTarget = (typeof startTargets)[number];
export type StartRole = "import" | "provider" | "caller";
