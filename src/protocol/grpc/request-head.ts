import type { UnreadMetadata } from "../../base/metadata.js";
import type { BoundMethod, ReplySender } from "../../call/server-call.js";
import type { CallerWait } from "../caller-wait.js";
import { type HeaderField, HeaderKind, type HeaderList } from "../http2/wire/header-field.js";
import { formatOf, type MessageFormat } from "./content-type.js";
import type { GrpcRequestHead } from "./server-call-port.js";
import { parseTimeout } from "./timeout.js";

/** The parsed header block of a request. */
export class RequestHead implements GrpcRequestHead {
  bound: BoundMethod | undefined = undefined;
  path = "";
  post = false;
  contentType = "";
  isGrpc = false;
  format: MessageFormat = "proto";
  /** -1: none. */
  timeoutMs = -1;
  timeout = "";
  encoding = "identity";
  acceptsGzip = false;
  gzip = false;
  sizeBytes = 0;
  agent: HeaderField | undefined = undefined;
  unread: UnreadMetadata | undefined = undefined;
  /** Whether there are fields besides those of the protocol. */
  others = false;
  /** Sends the replies. */
  sender!: ReplySender;
  /** The caller is not known yet. */
  wait: CallerWait | undefined = undefined;

  #clear(): void {
    this.bound = this.agent = this.unread = undefined;
    this.isGrpc = this.post = this.acceptsGzip = this.gzip = this.others = false;
    this.path = this.timeout = this.contentType = "";
    this.timeoutMs = -1;
    this.encoding = "identity";
  }

  /** How its messages may be compressed is known here. */
  get knownEncoding(): boolean {
    return this.encoding === "identity" || this.encoding === "gzip";
  }

  /** `resolve` finds the method that a path names. */
  read(headers: HeaderList, resolve: (path: HeaderField) => BoundMethod | undefined): void {
    this.#clear();
    const { fields, count } = headers;
    for (let i = 0; i < count; i++) {
      const field = fields[i] as HeaderField;
      switch (field.kind) {
        case HeaderKind.PATH:
          this.path = field.value;
          this.bound = (field.resolved as BoundMethod | undefined) ?? resolve(field);
          break;
        case HeaderKind.METHOD:
          this.post = field.value === "POST";
          break;
        case HeaderKind.CONTENT_TYPE:
          this.contentType = field.value;
          this.format = (field.resolved as MessageFormat | undefined) ?? formatIn(field) ?? "proto";
          this.isGrpc = field.resolved !== undefined;
          break;
        case HeaderKind.GRPC_TIMEOUT:
          this.timeout = field.value;
          // A repeated field is in the caller's header table, and is parsed once.
          field.resolved ??= parseTimeout(field.value) ?? Number.NaN;
          this.timeoutMs = field.resolved as number;
          break;
        case HeaderKind.GRPC_ENCODING:
          this.encoding = field.value;
          break;
        case HeaderKind.GRPC_ACCEPT_ENCODING:
          this.acceptsGzip = field.value.includes("gzip");
          break;
        case HeaderKind.USER_AGENT:
          this.agent = field;
          break;
        case HeaderKind.OTHER:
          this.others = true;
          break;
        default:
      }
    }
  }
}

function formatIn(field: HeaderField): MessageFormat | undefined {
  const format = formatOf(field.value);
  field.resolved = format;
  return format;
}
