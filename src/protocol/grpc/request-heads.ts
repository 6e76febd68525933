import { version } from "../../base/version.js";
import type { MethodDefinition } from "../../protobuf/types.js";
import type { OutgoingField, PreparedHeaders } from "../http2/wire/hpack-encoder.js";
import { formatTimeout } from "./timeout.js";

const userAgent = `mprpc-node/${version}`;
/** Of shorter timeouts there are too many for the server's header table, ms. */
const tableTimeoutMinMs = 1000;

/** What all requests of a connection say. */
export interface RequestFacts {
  /** Servers and proxies may refuse a request that names another scheme than its connection has. */
  readonly scheme: "http" | "https";
  readonly authority: string;
  readonly gzip: boolean;
}

interface MethodHead {
  readonly plain: PreparedHeaders;
  /** That of the request before; -1: none yet. */
  timeoutMs: number;
  /** The head with that timeout, once it was used twice. */
  timed: PreparedHeaders | undefined;
}

/** The fields that requests of a method have in common, as one connection sends them. */
export class RequestHeads {
  readonly #prepare: (fields: readonly OutgoingField[]) => PreparedHeaders;
  readonly #facts: RequestFacts;
  readonly #heads = new Map<MethodDefinition, MethodHead>();
  /** A cache: most calls have the method of the previous one. */
  #lastMethod: MethodDefinition | undefined;
  #lastHead: MethodHead | undefined;
  /** Whether what `find` returned says the timeout. */
  timed = false;

  constructor(prepare: (fields: readonly OutgoingField[]) => PreparedHeaders, facts: RequestFacts) {
    this.#prepare = prepare;
    this.#facts = facts;
  }

  /** `timeoutMs`: as `sentTimeoutMs` gives it; -1: none. It is in the head when the method's request before had the same. */
  find(method: MethodDefinition, timeoutMs: number): PreparedHeaders {
    const head = this.#headOf(method);
    this.timed = timeoutMs < 0 || timeoutMs === head.timeoutMs;
    if (timeoutMs < 0) return head.plain;
    if (this.timed) {
      head.timed ??= this.#prepare([...head.plain.fields, timeoutField(timeoutMs)]);
      return head.timed;
    }
    head.timeoutMs = timeoutMs;
    head.timed = undefined;
    return head.plain;
  }

  #headOf(method: MethodDefinition): MethodHead {
    if (method === this.#lastMethod) return this.#lastHead as MethodHead;
    let head = this.#heads.get(method);
    if (head === undefined) {
      head = { plain: this.#prepare(this.#fieldsOf(method)), timeoutMs: -1, timed: undefined };
      this.#heads.set(method, head);
    }
    this.#lastMethod = method;
    this.#lastHead = head;
    return head;
  }

  #fieldsOf(method: MethodDefinition): OutgoingField[] {
    const { scheme, authority, gzip } = this.#facts;
    return [
      { name: ":method", value: "POST", indexing: "table" },
      { name: ":scheme", value: scheme, indexing: "table" },
      { name: ":path", value: `/${method.service}/${method.name}`, indexing: "table" },
      { name: ":authority", value: authority, indexing: "table" },
      { name: "te", value: "trailers", indexing: "table" },
      { name: "content-type", value: "application/grpc", indexing: "table" },
      { name: "user-agent", value: userAgent, indexing: "table" },
      { name: "grpc-accept-encoding", value: "identity,gzip", indexing: "table" },
      ...(gzip ? [{ name: "grpc-encoding", value: "gzip", indexing: "table" as const }] : []),
    ];
  }
}

/** A timeout that comes again goes into the server's header table, and is parsed there once. */
function timeoutField(timeoutMs: number): OutgoingField {
  const indexing = timeoutMs < tableTimeoutMinMs ? "name" : "table";
  return { name: "grpc-timeout", value: formatTimeout(timeoutMs), indexing };
}
