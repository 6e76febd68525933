import { isEnum, isMessage } from "../link.js";
import type { ProtoEnum, ProtoField, ProtoFile, ProtoMessage } from "../model.js";
import { jsonName } from "../names.js";

type Json = { [key: string]: unknown };

/**
 * A file as a protobufjs JSON descriptor: `Root.addJSON` takes its `nested`. Only what coding and calling need: no
 * comments, no custom options, type names in full, fields under their JSON names.
 */
export function descriptorOf(file: ProtoFile): string {
  const nested: Json = {};
  for (const message of file.messages) {
    if (!message.shortName.includes("."))
      nested[message.name] = { edition: file.syntax, ...messageJson(message, file) };
  }
  for (const type of file.enums) {
    if (!type.shortName.includes(".")) nested[type.name] = { edition: file.syntax, ...enumJson(type) };
  }
  for (const service of file.services) {
    const methods: Json = {};
    for (const method of service.methods) {
      const options =
        method.idempotency === "unknown"
          ? {}
          : { options: { idempotency_level: method.idempotency.toUpperCase() } };
      methods[method.name] = {
        requestType: `.${method.input?.fullName}`,
        responseType: `.${method.output?.fullName}`,
        ...options,
      };
    }
    nested[service.name] = { edition: file.syntax, methods };
  }
  let root: Json = { nested };
  for (const part of file.package === "" ? [] : file.package.split(".").reverse()) {
    root = { nested: { [part]: root } };
  }
  return JSON.stringify(root);
}

function messageJson(message: ProtoMessage, file: ProtoFile): Json {
  const oneofs: Json = {};
  const fields: Json = {};
  for (const oneof of message.oneofs) {
    oneofs[oneof.name] = { oneof: oneof.fields.map(({ jsonName }) => jsonName) };
  }
  for (const field of message.fields) {
    fields[field.jsonName] = fieldJson(field, file);
    if (field.presence === "explicit" && file.syntax === "proto3") {
      oneofs[`_${field.jsonName}`] = { oneof: [field.jsonName] };
    }
  }
  const nested: Json = {};
  const isInner = (type: { shortName: string; name: string }): boolean =>
    type.shortName === `${message.shortName}.${type.name}`;
  for (const inner of file.messages.filter(isInner)) nested[inner.name] = messageJson(inner, file);
  for (const inner of file.enums.filter(isInner)) nested[inner.name] = enumJson(inner);
  const result: Json = {};
  if (Object.keys(oneofs).length > 0) result.oneofs = oneofs;
  result.fields = fields;
  if (Object.keys(nested).length > 0) result.nested = nested;
  return result;
}

function fieldJson(field: ProtoField, file: ProtoFile): Json {
  const result: Json = {};
  if (field.presence === "repeated" || field.presence === "required") result.rule = field.presence;
  if (field.mapKey !== undefined) result.keyType = field.mapKey;
  result.type = typeof field.type === "string" ? field.type : `.${field.type.fullName}`;
  result.id = field.id;
  // JSON may name a field either way: as in the .proto, or by its JSON name.
  if (field.name !== field.jsonName) result.protoName = field.name;
  if (field.jsonName !== jsonName(field.name)) result.jsonName = field.jsonName;
  const options: Json = {};
  if (field.presence === "repeated" && field.packed !== (file.syntax === "proto3"))
    options.packed = field.packed;
  if (field.presence === "explicit" && file.syntax === "proto3") options.proto3_optional = true;
  if (field.defaultText !== undefined) options.default = defaultJson(field);
  if (Object.keys(options).length > 0) result.options = options;
  return result;
}

function defaultJson(field: ProtoField): unknown {
  const { type, defaultText = "" } = field;
  if (type === "bool") return defaultText === "true";
  if (type === "string" || type === "bytes" || isEnum(type) || isMessage(type)) return defaultText;
  const number = Number(defaultText);
  // JSON has no Infinity, no NaN and no 64-bit integers; protobufjs takes the .proto's own words.
  return Number.isFinite(number) && Math.abs(number) <= Number.MAX_SAFE_INTEGER ? number : defaultText;
}

function enumJson(type: ProtoEnum): Json {
  const values: Json = {};
  let alias = false;
  for (const { name, number } of type.values) {
    alias ||= Object.values(values).includes(number);
    values[name] = number;
  }
  return alias ? { options: { allow_alias: true }, values } : { values };
}
