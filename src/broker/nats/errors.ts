import { isOf, textOf } from "../../base/thrown.js";
import { messages } from "../../error/messages.js";
import { type Executed, RpcError } from "../../error/rpc-error.js";
import { Status, type StatusCode } from "../../error/status.js";

/** JetStream's own numbers of errors. */
export const apiCode = {
  consumerNameTaken: 10013,
  consumerNotFound: 10014,
  streamNotFound: 10059,
  noMessageFound: 10037,
  jetStreamNotEnabled: 10039,
  jetStreamNotEnabledForAccount: 10076,
  wrongLastSequence: 10071,
  insufficientResources: 10023,
  storageExceeded: 10047,
  accountResourcesExceeded: 10002,
  maxBytes: 10077,
  consumerExists: 10148,
} as const;

/** The number of an error that JetStream has answered with. */
export function apiCodeOf(thrown: unknown): number | undefined {
  const { name, code } = (thrown ?? {}) as { name?: unknown; code?: unknown };
  return typeof name === "string" &&
    /^(JetStreamApi|ConsumerNotFound|StreamNotFound)/.test(name) &&
    typeof code === "number"
    ? code
    : undefined;
}

const full: readonly number[] = [
  apiCode.insufficientResources,
  apiCode.storageExceeded,
  apiCode.accountResourcesExceeded,
  apiCode.maxBytes,
];
const off: readonly number[] = [apiCode.jetStreamNotEnabled, apiCode.jetStreamNotEnabledForAccount];

/** Whether nobody listens where the message went: no stream takes it, or there is no JetStream. */
export function isNobodyThere(thrown: unknown): boolean {
  return named(thrown, /^no ?responders/i);
}

function named(thrown: unknown, pattern: RegExp): boolean {
  for (let one: unknown = thrown, depth = 0; one !== undefined && depth < 4; depth++) {
    const { name, cause, message } = (one ?? {}) as { name?: unknown; cause?: unknown; message?: unknown };
    if (pattern.test(String(name)) || pattern.test(String(message))) return true;
    one = cause;
  }
  return false;
}

/** What a failure of the NATS client means, as what a call fails with. */
export function natsError(broker: string, thrown: unknown): RpcError {
  if (isOf(thrown, RpcError)) return thrown;
  const text = textOf(thrown);
  const make = (code: StatusCode, message: string, executed: Executed): RpcError =>
    new RpcError(code, message, { executed, cause: thrown });
  if (named(thrown, /JetStreamNotEnabled/) || isNobodyThere(thrown)) {
    return make(Status.FAILED_PRECONDITION, messages.brokerNoJetStream(broker), "never");
  }
  const code = apiCodeOf(thrown);
  if (code !== undefined) {
    if (off.includes(code))
      return make(Status.FAILED_PRECONDITION, messages.brokerNoJetStream(broker), "never");
    if (full.includes(code))
      return make(Status.RESOURCE_EXHAUSTED, messages.brokerFull(broker, text), "never");
    return make(Status.INTERNAL, messages.brokerFailed(broker, text), "never");
  }
  if (named(thrown, /PermissionViolation/)) {
    return make(Status.PERMISSION_DENIED, messages.brokerDenied(broker, text), "never");
  }
  if (named(thrown, /^(AuthorizationError|UserAuthenticationExpired)|Authorization Violation/i)) {
    return make(Status.UNAUTHENTICATED, messages.brokerPasswordWrong(broker, text), "never");
  }
  if (named(thrown, /max_payload|MAX_PAYLOAD|max payload/i)) {
    return make(
      Status.RESOURCE_EXHAUSTED,
      messages.brokerFull(broker, `${text} (max_payload of nats-server)`),
      "never",
    );
  }
  return make(Status.UNAVAILABLE, messages.brokerConnectionLost(broker, text), "maybe");
}
