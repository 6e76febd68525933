/** What generated code imports: nothing here opens a socket or reads a file. */

export { needsMprpc } from "./base/version.js";
export type { CallContext } from "./call/context.js";
export { RpcController } from "./call/controller.js";
export type { CallOptions } from "./call/options.js";
export { type HandlersOf, invokeStub, type StubChannel } from "./call/stub.js";
export { emptyBytes, nestingMax, Reader } from "./protobuf/reader.js";
export {
  decodeMessage,
  defineService,
  encodeMessage,
  type Idempotency,
  type InputOf,
  type MessageType,
  type MethodDefinition,
  type OutputOf,
  type ServiceDefinition,
} from "./protobuf/types.js";
export {
  arrayOf,
  checkEnum,
  checkMessage,
  entriesOf,
  isEnumValue,
  listOf,
  longMapOf,
  type MapInput,
  mapOf,
  missingField,
  optional,
  same,
  toBuffer,
  tooDeep,
  unknownCase,
} from "./protobuf/values.js";
export {
  type AnyMessage,
  anyPack,
  anyUnpack,
  durationFromMs,
  durationToMs,
  type JsonValue,
  type SecondsAndNanos,
  type StructMessage,
  structFromJson,
  structToJson,
  type TimestampParts,
  timestampFromDate,
  timestampGiven,
  timestampToDate,
  type ValueMessage,
  valueFromJson,
  valueToJson,
} from "./protobuf/well-known.js";
export { Writer } from "./protobuf/writer.js";
