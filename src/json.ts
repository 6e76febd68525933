/**
 * Messages of generated code to JSON and back. An entry of its own, since it brings protobufjs with it: programs that use
 * `mprpc` and generated code alone never load that.
 */

export {
  type FromJsonOptions,
  fromJson,
  fromJsonText,
  type ToJsonOptions,
  type ToJsonTextOptions,
  TypeRegistry,
  toJson,
  toJsonText,
} from "./descriptor/json.js";
export { JsonMappingError } from "./descriptor/json-error.js";
