import { type ProtoFile, withDependencies } from "./file.js";
import { Reader } from "./reader.js";
import { Writer } from "./writer.js";

/**
 * How one message type goes to bytes and back. `mprpc generate` writes these; they hold no state.
 *
 * `Out` is what decoding gives: every field present. `In` is what encoding takes: every field optional.
 * (Method syntax on purpose: it lets every message type be used where `MessageType` is asked for.)
 */
export interface MessageType<Out = unknown, In = unknown> {
  /** Full name: `fixbug.LoginRequest`. */
  readonly typeName: string;
  /** The .proto file that declares it; for JSON, reflection and extensions. Types written by hand have none. */
  readonly file?: ProtoFile;
  /** A message with every field present, defaults where `input` has none. */
  create(input?: In): Out;
  /** Appends `message` to `writer`. Throws `TypeError` that names the field for a value of the wrong kind. */
  encode(message: In, writer: Writer, depth?: number): void;
  /**
   * Reads from `reader.pos` up to `end`, into a message of its own or on top of `into`, as a field that is sent twice
   * is merged. Throws for bytes that are not this message.
   */
  decode(reader: Reader, end: number, depth?: number, into?: Out): Out;
}

/** `option idempotency_level` of the .proto. */
export type Idempotency = "unknown" | "no_side_effects" | "idempotent";

/** Which sides send a stream of messages instead of one. */
export type MethodKind = "unary" | "client_streaming" | "server_streaming" | "bidi_streaming";

export interface MethodDefinition<
  Request extends MessageType = MessageType,
  Response extends MessageType = MessageType,
  Kind extends MethodKind = MethodKind,
> {
  readonly kind: Kind;
  /** The .proto's spelling: `Login`. */
  readonly name: string;
  /** The spelling of stubs and handlers: `login`. */
  readonly localName: string;
  /** Full name of the service: `fixbug.UserServiceRpc`. */
  readonly service: string;
  /** `fixbug.UserServiceRpc.Login`, for messages. */
  readonly fullName: string;
  readonly input: Request;
  readonly output: Response;
  readonly idempotency: Idempotency;
}

export interface ServiceDefinition<
  Methods extends Readonly<Record<string, MethodDefinition>> = Readonly<Record<string, MethodDefinition>>,
> {
  /** Full name: `fixbug.UserServiceRpc`. */
  readonly typeName: string;
  /** Keyed by `localName`. */
  readonly methods: Methods;
  /** The .proto files behind it as FileDescriptorProtos, own file first; used by generic calls and reflection. */
  readonly descriptors: readonly Uint8Array[];
}

interface MethodInit {
  name: string;
  /** Default: `unary`. */
  kind?: MethodKind;
  input: MessageType;
  output: MessageType;
  idempotency?: Idempotency;
}

type KindOf<Init extends MethodInit> = Init["kind"] extends MethodKind ? Init["kind"] : "unary";

/** The definition of a service, as generated code writes it. */
export function defineService<const Methods extends Readonly<Record<string, MethodInit>>>(init: {
  typeName: string;
  methods: Methods;
  /** The .proto file that declares it. A service without one cannot be called with JSON. */
  file?: ProtoFile | undefined;
}): ServiceDefinition<{
  readonly [K in keyof Methods]: MethodDefinition<
    Methods[K]["input"],
    Methods[K]["output"],
    KindOf<Methods[K]>
  >;
}> {
  const methods: Record<string, MethodDefinition> = {};
  for (const [localName, given] of Object.entries(init.methods)) {
    const { name, kind = "unary", input, output, idempotency = "unknown" } = given;
    const fullName = `${init.typeName}.${name}`;
    methods[localName] = {
      ...{ kind, name, localName, service: init.typeName, fullName, input, output, idempotency },
    };
  }
  const { typeName, file } = init;
  let descriptors: readonly Uint8Array[] | undefined;
  return {
    typeName,
    methods: methods as never,
    // Read from their text when they are asked for, which most programs never do.
    get descriptors() {
      descriptors ??= file === undefined ? [] : withDependencies(file).map(({ descriptor }) => descriptor);
      return descriptors;
    },
  };
}

/** What decoding a message type gives. */
export type OutputOf<Type> = Type extends MessageType<infer Out, infer _In> ? Out : never;
/** What encoding a message type takes. */
export type InputOf<Type> = Type extends MessageType<infer _Out, infer In> ? In : never;

/** From this size on a message's buffer is not kept for the next one. */
const givenAwayMin = 256 * 1024;

/** Kept from message to message, since a new buffer costs more than encoding; taken away while it is in use. */
let spareWriter: Writer | undefined;

/** A message as bytes of its own. */
export function encodeMessage<In>(type: MessageType<unknown, In>, message: In): Buffer {
  const writer = spareWriter ?? new Writer();
  spareWriter = undefined;
  type.encode(message, writer);
  const { position } = writer;
  // A large buffer would be let go anyway: it is given away, not copied, unless much of it is empty.
  if (position > givenAwayMin && position > writer.buffer.length * 0.8) {
    return writer.detach().subarray(0, position);
  }
  const bytes = writer.finish();
  writer.clear();
  spareWriter = writer;
  return bytes;
}

/** A message from bytes. Throws for bytes that are not this message. */
export function decodeMessage<Out>(type: MessageType<Out>, bytes: Uint8Array): Out {
  const buffer = Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const reader = new Reader(buffer);
  return type.decode(reader, buffer.length);
}

/** The last part of a full name: `UserServiceRpc` of `fixbug.UserServiceRpc`, as the classic framework spells it. */
export function shortName(fullName: string): string {
  return fullName.slice(fullName.lastIndexOf(".") + 1);
}
