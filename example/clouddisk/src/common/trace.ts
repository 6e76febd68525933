import { AsyncLocalStorage } from "node:async_hooks";
import { randomBytes } from "node:crypto";
import type { ClientInterceptor, LogFields, Logger, LogLevel, ServerInterceptor } from "mprpc";

const metadataKey = "x-trace-id";
const storage = new AsyncLocalStorage<string>();

/** The id of the request this code runs for; undefined outside of any. */
export function currentTraceId(): string | undefined {
  return storage.getStore();
}

export function newTraceId(): string {
  return randomBytes(8).toString("hex");
}

/** Runs `work` as part of the request with this id: its log lines and its calls carry it. */
export function withTraceId<T>(traceId: string, work: () => T): T {
  return storage.run(traceId, work);
}

/** Sends the id with every call. */
export const traceCalls: ClientInterceptor = (next) => (call) => {
  call.metadata.set(metadataKey, currentTraceId() ?? newTraceId());
  return next(call);
};

/** Takes the id over from the caller, and logs one line for each call served. */
export function traceServing(log: Logger): ServerInterceptor {
  return (next) => (call) => {
    const traceId = call.context.metadata.getText(metadataKey) ?? newTraceId();
    return withTraceId(traceId, async () => {
      const startMs = performance.now();
      const fields = (): LogFields => ({
        method: call.context.method.fullName,
        elapsedMs: Math.round((performance.now() - startMs) * 10) / 10,
      });
      try {
        const reply = await next(call);
        log.info("served", fields());
        return reply;
      } catch (error) {
        log.warn("failed", { ...fields(), error });
        throw error;
      }
    });
  };
}

const levels: readonly LogLevel[] = ["trace", "debug", "info", "warn", "error", "fatal"];

/** Adds the service's name and the trace id to every line. */
export function tracedLogger(log: Logger, service: string): Logger {
  const line =
    (level: LogLevel) =>
    (text: string, fields?: LogFields): void => {
      const traceId = currentTraceId();
      log[level](text, { service, ...(traceId === undefined ? {} : { traceId }), ...fields });
    };
  return Object.fromEntries(levels.map((level) => [level, line(level)])) as unknown as Logger;
}
