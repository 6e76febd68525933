/**
 * The kind of a field name, so that names are not compared as text for each request. `OTHER` is every other name; the pseudo
 * fields are the lowest.
 */
export const HeaderKind = {
  OTHER: 0,
  METHOD: 1,
  SCHEME: 2,
  AUTHORITY: 3,
  PATH: 4,
  STATUS: 5,
  CONTENT_TYPE: 6,
  CONTENT_LENGTH: 7,
  TE: 8,
  USER_AGENT: 9,
  HOST: 10,
  GRPC_TIMEOUT: 11,
  GRPC_ENCODING: 12,
  GRPC_ACCEPT_ENCODING: 13,
  GRPC_STATUS: 14,
  GRPC_MESSAGE: 15,
  GRPC_STATUS_DETAILS: 16,
} as const;

const kinds: ReadonlyMap<string, number> = new Map([
  [":method", HeaderKind.METHOD],
  [":scheme", HeaderKind.SCHEME],
  [":authority", HeaderKind.AUTHORITY],
  [":path", HeaderKind.PATH],
  [":status", HeaderKind.STATUS],
  ["content-type", HeaderKind.CONTENT_TYPE],
  ["content-length", HeaderKind.CONTENT_LENGTH],
  ["te", HeaderKind.TE],
  ["user-agent", HeaderKind.USER_AGENT],
  ["host", HeaderKind.HOST],
  ["grpc-timeout", HeaderKind.GRPC_TIMEOUT],
  ["grpc-encoding", HeaderKind.GRPC_ENCODING],
  ["grpc-accept-encoding", HeaderKind.GRPC_ACCEPT_ENCODING],
  ["grpc-status", HeaderKind.GRPC_STATUS],
  ["grpc-message", HeaderKind.GRPC_MESSAGE],
  ["grpc-status-details-bin", HeaderKind.GRPC_STATUS_DETAILS],
]);

/** Fields of one connection, which HTTP/2 forbids (RFC 9113 section 8.2.2). */
const connectionSpecific: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);

/** What an entry of a table takes besides its name and value, RFC 7541 section 4.1, bytes. */
export const entryOverheadBytes = 32;

/**
 * A field of a header block as it arrived. Fields in the peer's table are the same object each time, so results can be
 * cached on them.
 */
export class HeaderField {
  readonly name: string;
  /** Each byte is one character: latin1. */
  readonly value: string;
  /** One of `HeaderKind`. */
  readonly kind: number;
  /** What it counts in a table and in a list, bytes. */
  readonly sizeBytes: number;
  /** Why a message with it is malformed. */
  readonly fault: string | undefined;
  /** A cached result of the layer above, such as the method that a path names. */
  resolved: unknown = undefined;

  constructor(name: string, value: string, kind = kinds.get(name) ?? HeaderKind.OTHER) {
    this.name = name;
    this.value = value;
    this.kind = kind;
    this.sizeBytes = name.length + value.length + entryOverheadBytes;
    this.fault = faultOf(name, value, kind);
  }
}

function faultOf(name: string, value: string, kind: number): string | undefined {
  const bad = badName(name, kind) ?? badValue(name, value);
  if (bad !== undefined) return bad;
  if (connectionSpecific.has(name)) return `${name} is a field of one connection`;
  if (kind === HeaderKind.TE && value !== "trailers") return "te is not trailers";
  if (kind === HeaderKind.PATH && value.length === 0) return ":path is empty";
  if (kind === HeaderKind.CONTENT_LENGTH && !/^\d{1,15}$/.test(value)) return "content-length is no number";
  if (kind === HeaderKind.STATUS && !/^[1-9]\d\d$/.test(value)) return ":status is no status";
  return undefined;
}

function badName(name: string, kind: number): string | undefined {
  if (kind !== HeaderKind.OTHER) return undefined;
  if (name.length === 0) return "a field without a name";
  if (name.charCodeAt(0) === 58) return "an unknown pseudo field";
  for (let i = 0; i < name.length; i++) {
    const unit = name.charCodeAt(i);
    if (unit <= 0x20 || (unit >= 0x41 && unit <= 0x5a) || unit >= 0x7f || unit === 58) {
      return "a field name with a character that is not allowed";
    }
  }
  return undefined;
}

function isBlank(unit: number): boolean {
  return unit === 0x20 || unit === 0x09;
}

function badValue(name: string, value: string): string | undefined {
  const { length } = value;
  if (length === 0) return undefined;
  if (isBlank(value.charCodeAt(0)) || isBlank(value.charCodeAt(length - 1))) {
    return `${name} begins or ends with a blank`;
  }
  for (let i = 0; i < length; i++) {
    const unit = value.charCodeAt(i);
    if (unit === 0 || unit === 10 || unit === 13) return `${name} has a character that is not allowed`;
  }
  return undefined;
}

/**
 * A header block as it arrived. The connection reuses it for the next one, so copy what you keep, fields included,
 * before the callback returns (`slice`).
 */
export class HeaderList {
  /** Only the first `count` are valid. */
  readonly fields: HeaderField[] = [];
  count = 0;
  /** As RFC 9113 counts them: with 32 bytes for each field. */
  sizeBytes = 0;
  /** Too large or too many: `fields` has only the first. */
  tooLarge = false;
  /** Why the message is malformed. */
  fault: string | undefined = undefined;
  /** A bit for each `HeaderKind` that is in it. */
  kinds = 0;
  #regularSeen = false;

  clear(): void {
    this.count = 0;
    this.sizeBytes = 0;
    this.tooLarge = false;
    this.fault = undefined;
    this.kinds = 0;
    this.#regularSeen = false;
  }

  add(field: HeaderField): void {
    const { kind } = field;
    if (field.fault !== undefined) this.fault ??= field.fault;
    const bit = 1 << kind;
    if (kind === HeaderKind.OTHER || kind > HeaderKind.STATUS) this.#regularSeen = true;
    else if (this.#regularSeen) this.fault ??= `${field.name} behind other fields`;
    else if ((this.kinds & bit) !== 0) this.fault ??= `${field.name} twice`;
    this.kinds |= bit;
    this.fields[this.count++] = field;
  }

  has(kind: number): boolean {
    return (this.kinds & (1 << kind)) !== 0;
  }

  /** The value of the first field of a kind that is not `OTHER`. */
  valueOf(kind: number): string | undefined {
    if (!this.has(kind)) return undefined;
    for (let i = 0; i < this.count; i++) {
      const field = this.fields[i] as HeaderField;
      if (field.kind === kind) return field.value;
    }
    return undefined;
  }

  /** The value of the first field of a name in lower case. */
  get(name: string): string | undefined {
    for (let i = 0; i < this.count; i++) {
      const field = this.fields[i] as HeaderField;
      if (field.name === name) return field.value;
    }
    return undefined;
  }

  /** The fields, to keep. */
  slice(): HeaderField[] {
    return this.fields.slice(0, this.count);
  }
}
