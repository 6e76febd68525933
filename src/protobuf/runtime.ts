/** What the generated code of messages stands on. `mprpc/codec` adds what services need. */

export { needsMprpc } from "../base/version.js";
export { defineExtension, type Extension } from "./extension.js";
export { defineFile, type ProtoFile } from "./file.js";
export { emptyBytes, nestingMax, Reader } from "./reader.js";
export { defineTopic, type TopicDefinition } from "./topic.js";
export {
  decodeMessage,
  defineService,
  encodeMessage,
  type Idempotency,
  type InputOf,
  type MessageType,
  type MethodDefinition,
  type MethodKind,
  type OutputOf,
  type ServiceDefinition,
} from "./types.js";
export { unknownFields } from "./unknown.js";
export {
  arrayOf,
  checkEnum,
  checkMessage,
  entriesOf,
  isEnumValue,
  keyedMapOf,
  listOf,
  longOf,
  type MapInput,
  mapOf,
  missingField,
  optional,
  required,
  same,
  toBuffer,
  tooDeep,
  toSafeNumber,
  unknownCase,
  withUnknown,
} from "./values.js";
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
} from "./well-known.js";
export { Writer } from "./writer.js";
