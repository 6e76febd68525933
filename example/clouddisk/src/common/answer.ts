import { RpcError, Status } from "mprpc";
import { Refusal } from "./codes.js";

/** The fields every reply of the cloud disk's services begins with. */
export interface Answer {
  code: number;
  message: string;
}

/** Failures of a call that pass: the service is away, is starting, or has too much to do. */
const passing: readonly number[] = [Status.UNAVAILABLE, Status.DEADLINE_EXCEEDED, Status.RESOURCE_EXHAUSTED];

/** Whether the same call may work in a few seconds. */
export function isPassing(error: unknown): error is RpcError {
  return error instanceof RpcError && passing.includes(error.code);
}

/**
 * Runs a handler: a Refusal becomes code and message of the reply. A service behind it that is away makes this one
 * UNAVAILABLE too; otherwise the framework would hide it behind UNKNOWN, and nobody would try again.
 */
export async function answer<R extends object>(work: () => Promise<R>): Promise<(R & Answer) | Answer> {
  try {
    return { code: 0, message: "ok", ...(await work()) };
  } catch (error) {
    if (error instanceof Refusal) return { code: error.code, message: error.message };
    if (isPassing(error)) throw new RpcError(Status.UNAVAILABLE, error.rawMessage, { cause: error });
    throw error;
  }
}

/** The other side: a reply with a code becomes a Refusal. */
export function checked<R extends Answer>(reply: R): R {
  if (reply.code !== 0) throw new Refusal(reply.code, reply.message);
  return reply;
}
