import { textOf } from "../../base/thrown.js";
import { messages } from "../../error/messages.js";
import { type Executed, RpcError } from "../../error/rpc-error.js";
import { Status, type StatusCode } from "../../error/status.js";

/** By how the text of Redis begins; the first that fits counts. */
const kinds: ReadonlyArray<
  readonly [RegExp, StatusCode, (broker: string, reason: string) => string, fatal: boolean]
> = [
  [
    /^(WRONGPASS|NOAUTH|ERR invalid password|ERR AUTH)/,
    Status.UNAUTHENTICATED,
    messages.brokerPasswordWrong,
    true,
  ],
  [/^NOPERM/, Status.PERMISSION_DENIED, messages.brokerDenied, true],
  [/^READONLY/, Status.FAILED_PRECONDITION, messages.brokerReadOnly, true],
  [/^(OOM|MISCONF)/, Status.RESOURCE_EXHAUSTED, messages.brokerFull, false],
  [
    /^(Protocol error|Unknown RESP type|WRONGTYPE|ERR unknown command|ERR DB index|ERR invalid DB)/,
    Status.FAILED_PRECONDITION,
    (broker, reason) =>
      /^(Protocol error|Unknown RESP|ERR unknown command)/.test(reason)
        ? messages.brokerOtherServer(broker, "Redis", reason)
        : messages.brokerFailed(broker, reason),
    true,
  ],
  [/^(LOADING|BUSY|MASTERDOWN|TRYAGAIN|CLUSTERDOWN)/, Status.UNAVAILABLE, messages.brokerFailed, false],
];

export interface RedisFault {
  readonly error: RpcError;
  /** Waiting does not help: somebody has to change something. */
  readonly fatal: boolean;
}

/** ioredis puts the command on its errors, with its arguments: the password, or a message. Whoever prints the error would show them. */
function dropArguments(thrown: unknown): void {
  if (!(thrown instanceof Error)) return;
  const { command } = thrown as { command?: { name?: unknown } };
  if (command !== undefined) Object.assign(thrown, { command: { name: command.name } });
}

/** What a failure of ioredis means, as what a call fails with. */
export function redisFault(broker: string, thrown: unknown): RedisFault {
  if (thrown instanceof RpcError) return { error: thrown, fatal: false };
  dropArguments(thrown);
  const text = textOf(thrown);
  for (const [pattern, code, message, fatal] of kinds) {
    if (!pattern.test(text)) continue;
    return { error: new RpcError(code, message(broker, text), { executed: "never", cause: thrown }), fatal };
  }
  // An answer of Redis is sure: it did not do it. Anything else may have been lost on the way back.
  const answered = (thrown as { name?: unknown } | undefined)?.name === "ReplyError";
  const executed: Executed = answered || isUnsent(thrown) ? "never" : "maybe";
  const message = answered
    ? messages.brokerFailed(broker, text)
    : messages.brokerConnectionLost(broker, text);
  const code = answered ? Status.INTERNAL : Status.UNAVAILABLE;
  return { error: new RpcError(code, message, { executed, cause: thrown }), fatal: false };
}

/** Whether the command was not sent: the connection had ended, which it may not have known yet. */
export function isUnsent(thrown: unknown): boolean {
  return textOf(thrown).startsWith("Stream isn't writeable");
}

/** Whether Redis has answered that the group, or its stream, is not there. */
export function isNoGroup(thrown: unknown): boolean {
  return textOf(thrown).startsWith("NOGROUP");
}
