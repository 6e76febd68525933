import { Code } from "./codes.js";

/** What the disk refuses, or that it does not answer. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly code: number;
  readonly retryAfterMs: number;

  constructor(code: number, message: string, options: { retryAfterMs?: number; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.code = code;
    this.retryAfterMs = options.retryAfterMs ?? 0;
  }

  /** Another attempt may do. */
  get temporary(): boolean {
    return this.code === Code.NETWORK || this.code === Code.SERVER || this.code === Code.TOO_MANY;
  }
}
