import { messages } from "../../../error/messages.js";
import { RpcError } from "../../../error/rpc-error.js";
import { Status } from "../../../error/status.js";
import type { MethodDefinition, MethodKind } from "../../../protobuf/types.js";
import type { FrameHeader } from "../wire/header.js";

/** What field `stream` of a CALL says of a method. */
export const streamNumbers: Readonly<Record<MethodKind, number>> = {
  unary: 0,
  client_streaming: 1,
  server_streaming: 2,
  bidi_streaming: 3,
};
const kinds = Object.keys(streamNumbers) as MethodKind[];

/** Why a CALL does not fit the kind of its method. */
export function refusalOfMethod(
  { kind, fullName }: MethodDefinition,
  { callId, rare }: FrameHeader,
): RpcError | undefined {
  const { stream = 0 } = rare;
  if (stream !== streamNumbers[kind]) {
    const text = messages.otherKind(fullName, kind, kinds[stream] ?? `of stream kind ${stream}`);
    return new RpcError(Status.UNIMPLEMENTED, text);
  }
  if (kind === "unary" || callId !== 0) return undefined;
  return new RpcError(Status.UNIMPLEMENTED, messages.onewayStream(fullName, kind));
}
