import { isKeyUnit, Metadata, metadataKeyMaxLength, type UnreadMetadata } from "../../base/metadata.js";
import { emptyBytes } from "../../protobuf/reader.js";
import { type HeaderField, HeaderKind, type HeaderList } from "../http2/wire/header-field.js";
import type { OutgoingField } from "../http2/wire/hpack-encoder.js";

/** In the trailers of a failure: whether the handler ran. Users can neither set nor see it. */
export const executedField = "mprpc-executed";
/** In the trailers of a failure: the caller is not served at all, on no connection, for the reason that the failure gives. */
export const turnedAwayField = "mprpc-turned-away";
/** The header of a call's idempotency key. */
export const idempotencyField = "idempotency-key";
/** The suffix of fields whose values are bytes. */
const binarySuffix = "-bin";

/** Names that belong to gRPC, HTTP or mprpc: not allowed in metadata. */
function isReserved(key: string): boolean {
  return (
    key.startsWith("grpc-") ||
    key.startsWith("mprpc-") ||
    key === "content-type" ||
    key === "content-length" ||
    key === "te" ||
    key === "host" ||
    key === "connection" ||
    key === "keep-alive" ||
    key === "proxy-connection" ||
    key === "transfer-encoding" ||
    key === "upgrade" ||
    key === "user-agent"
  );
}

/** Fields of gRPC that callers and providers may set and see nevertheless. */
const visible: ReadonlySet<string> = new Set(["grpc-previous-rpc-attempts", "grpc-retry-pushback-ms"]);

/** So many keys are looked at, and values up to this length; the peer's table is no larger than 4 KiB. */
const repeatedKeysMax = 64;
const repeatedValueMax = 256;

/**
 * The metadata of one side of a connection that come again with the same value: they go into the peer's table, so that neither
 * side writes or reads them anew for each call. Values that differ each time never do.
 */
export class RepeatedMetadata {
  readonly #last = new Map<string, OutgoingField>();

  /** The field that was sent before, when it was the same. */
  same(name: string, value: string): OutgoingField | undefined {
    const last = this.#last.get(name);
    if (last === undefined || last.value !== value) return undefined;
    if (last.indexing === "table") return last;
    const field: OutgoingField = { name, value, indexing: "table" };
    this.#last.set(name, field);
    return field;
  }

  keep(field: OutgoingField): OutgoingField {
    const known = this.#last.has(field.name) || this.#last.size < repeatedKeysMax;
    if (known && field.value.length <= repeatedValueMax) this.#last.set(field.name, field);
    return field;
  }
}

/** Appends metadata to the fields of a header block. Returns what is wrong with them, or nothing. */
export function appendMetadata(
  fields: OutgoingField[],
  metadata: Metadata,
  repeated?: RepeatedMetadata,
): string | undefined {
  const { flat } = metadata;
  for (let i = 0; i < flat.length; i += 2) {
    const key = flat[i] as string;
    const value = flat[i + 1] as string | Buffer;
    const same = typeof value === "string" ? repeated?.same(key, value) : undefined;
    if (same !== undefined) {
      fields.push(same);
      continue;
    }
    // A handler that forwards its metadata must not forward fields that only concern its own call.
    if (isReserved(key)) {
      if (visible.has(key) && typeof value === "string" && isPrintable(value))
        fields.push({ name: key, value });
      continue;
    }
    if (key.endsWith(binarySuffix)) {
      fields.push({
        name: key,
        value: Buffer.from(value as Buffer)
          .toString("base64")
          .replace(/=+$/, ""),
      });
    } else if (typeof value !== "string") {
      return `metadata ${key}: gRPC carries bytes only under keys that end in "-bin"`;
    } else if (!isPrintable(value)) {
      return `metadata ${key}: gRPC carries only printable ASCII, without blanks at the ends; use a key that ends in "-bin"`;
    } else if (key === "authorization") fields.push({ name: key, value, indexing: "never" });
    else {
      const field: OutgoingField = { name: key, value, indexing: "plain" };
      fields.push(repeated?.keep(field) ?? field);
    }
  }
  return undefined;
}

/** Fits in a header: printable ASCII, since servers refuse the rest, and they cut blanks off the ends. */
export function isPrintable(value: string): boolean {
  const { length } = value;
  for (let i = 0; i < length; i++) {
    const unit = value.charCodeAt(i);
    if (unit < 0x20 || unit > 0x7e) return false;
  }
  return length === 0 || (value.charCodeAt(0) !== 0x20 && value.charCodeAt(length - 1) !== 0x20);
}

/** Whether an arrived field is user metadata. The result is cached on the field. */
function isMetadata(field: HeaderField): boolean {
  const { kind } = field;
  if (kind === HeaderKind.USER_AGENT) return true;
  if (kind !== HeaderKind.OTHER) return false;
  field.resolved ??= isUsers(field.name);
  return field.resolved !== false;
}

function isUsers(name: string): boolean {
  if (name.startsWith("grpc-")) return visible.has(name);
  if (name.startsWith("mprpc-") || name === idempotencyField || name.length > metadataKeyMaxLength)
    return false;
  for (let i = 0; i < name.length; i++) if (!isKeyUnit(name.charCodeAt(i))) return false;
  return true;
}

/** Arrived fields, converted to metadata only when they are read. */
class UnreadFields implements UnreadMetadata {
  readonly #fields: readonly HeaderField[];

  constructor(fields: readonly HeaderField[]) {
    this.#fields = fields;
  }

  get size(): number {
    let size = 0;
    for (const field of this.#fields) size += field.name.endsWith(binarySuffix) ? valuesOf(field).length : 1;
    return size;
  }

  firstIs(key: string, value: Buffer | undefined): boolean {
    const field = this.#fields.find(({ name }) => name === key);
    if (field === undefined || value === undefined) return (field === undefined) === (value === undefined);
    if (key.endsWith(binarySuffix)) return valuesOf(field)[0]?.equals(value) ?? false;
    // Printable ASCII, which has a byte for each character.
    return field.value.length === value.length && value.toString("latin1") === field.value;
  }

  readInto(metadata: Metadata): void {
    for (const field of this.#fields) {
      if (!field.name.endsWith(binarySuffix)) metadata.append(field.name, field.value);
      else for (const value of valuesOf(field)) metadata.append(field.name, value);
    }
  }
}

/** Several values may have been joined by intermediaries. */
function valuesOf(field: HeaderField): Buffer[] {
  if (field.value === "") return [emptyBytes];
  return field.value.split(",").map((one) => Buffer.from(one, "base64"));
}

/** A name of bytes whose value is none. */
function isMalformed({ name, value, kind }: HeaderField): boolean {
  return (
    kind === HeaderKind.OTHER &&
    name.endsWith(binarySuffix) &&
    !/^[A-Za-z0-9+/_-]*={0,2}(?:,\s*[A-Za-z0-9+/_-]*={0,2})*$/.test(value)
  );
}

/**
 * The user's metadata among `list`; undefined when there are none. A text instead: the name of a field that is malformed.
 */
export function metadataOf(list: HeaderList): Metadata | string | undefined {
  let fields: HeaderField[] | undefined;
  for (let i = 0; i < list.count; i++) {
    const field = list.fields[i] as HeaderField;
    if (!isMetadata(field)) continue;
    if (isMalformed(field)) return field.name;
    if (fields === undefined) fields = [field];
    else fields.push(field);
  }
  if (fields === undefined) return undefined;
  if (fields.length > 1) return Metadata.unread(new UnreadFields(fields));
  return Metadata.unread(unreadField(fields[0] as HeaderField));
}

/** The metadata of a list that has `field` and no more; it stays with the field, which may be in the peer's table. */
export function unreadField(field: HeaderField): UnreadMetadata {
  if (!(field.resolved instanceof UnreadFields)) field.resolved = new UnreadFields([field]);
  return field.resolved as UnreadFields;
}
