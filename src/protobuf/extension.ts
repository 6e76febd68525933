import { Reader } from "./reader.js";
import { decodeMessage, encodeMessage, type MessageType } from "./types.js";
import { setUnknownFields, unknownFields, type WithUnknownFields } from "./unknown.js";
import { Writer } from "./writer.js";

/** The items of a MessageSet: `repeated group Item = 1 { required int32 type_id = 2; required bytes message = 3; }`. */
const itemTag = (1 << 3) | 3;
const itemEndTag = (1 << 3) | 4;
const typeIdTag = 2 << 3;
const messageTag = (3 << 3) | 2;

/** What generated code tells of an extension. `codec` is a message of the one field `value`. */
export interface ExtensionInit<Out, In> {
  /** Full name: `fixbug.color`. */
  readonly typeName: string;
  /** Full name of the message that it extends. */
  readonly extendee: string;
  readonly number: number;
  /** The extended message has `option message_set_wire_format`. */
  readonly messageSet?: boolean;
  /** `[default = ...]`. */
  readonly default?: In;
  readonly codec: MessageType<{ value: Out }, { readonly value?: In | undefined }>;
}

/**
 * An extension field of `Message`. Its value is kept among the message's unknown fields, so a message that carries
 * extensions costs nothing to programs that do not know them, and `get` decodes on each call.
 *
 * `Out` is what `get` gives: `undefined` for an absent value, an empty array for an absent repeated one.
 */
export class Extension<Message extends object = object, Out = unknown, In = unknown> {
  readonly typeName: string;
  readonly extendee: string;
  readonly number: number;
  /** What `[default = ...]` says an absent value stands for. */
  readonly default: In | undefined;
  readonly #messageSet: boolean;
  readonly #codec: MessageType<{ value: Out }, { readonly value?: In | undefined }>;

  constructor(init: ExtensionInit<Out, In>) {
    this.typeName = init.typeName;
    this.extendee = init.extendee;
    this.number = init.number;
    this.default = init.default;
    this.#messageSet = init.messageSet ?? false;
    this.#codec = init.codec;
  }

  /** Throws for bytes that are not a value of this extension. */
  get(message: Message): Out {
    const bytes = bytesOf(message);
    if (bytes === undefined) return this.#codec.create().value;
    return decodeMessage(this.#codec, this.#messageSet ? this.#items(bytes) : bytes).value;
  }

  has(message: Message): boolean {
    const bytes = bytesOf(message);
    if (bytes === undefined) return false;
    return fieldsOf(bytes).some((field) => this.#isOwn(field, bytes));
  }

  /** Replaces the value. Throws `TypeError` for a value of the wrong kind; the message keeps its old one then. */
  set(message: Message, value: In): void {
    const field = encodeMessage(this.#codec, { value });
    const added = this.#messageSet ? this.#toItem(field) : field;
    setUnknownFields(message, Buffer.concat([this.#others(message), added]));
  }

  clear(message: Message): void {
    if (this.has(message)) setUnknownFields(message, this.#others(message));
  }

  #others(message: Message): Buffer {
    const bytes = bytesOf(message);
    if (bytes === undefined) return Buffer.alloc(0);
    const kept = fieldsOf(bytes).filter((field) => !this.#isOwn(field, bytes));
    return Buffer.concat(kept.map(({ start, end }) => bytes.subarray(start, end)));
  }

  #isOwn({ tag, value, end }: Field, bytes: Buffer): boolean {
    if (tag >>> 3 === this.number) return true;
    return this.#messageSet && tag === itemTag && readItem(bytes, value, end).typeId === this.number;
  }

  /** A MessageSet's items of this extension as fields, which is how the codec reads them. */
  #items(bytes: Buffer): Buffer {
    const writer = new Writer();
    for (const { tag, start, value, end } of fieldsOf(bytes)) {
      if (tag >>> 3 === this.number) writer.raw(bytes.subarray(start, end));
      if (tag !== itemTag) continue;
      const { typeId, message } = readItem(bytes, value, end);
      if (typeId === this.number) writer.uint32(this.number * 8 + 2).bytes(message);
    }
    return writer.finish();
  }

  #toItem(field: Buffer): Buffer {
    const reader = new Reader(field);
    reader.tag();
    const writer = new Writer();
    writer.uint32(itemTag).uint32(typeIdTag).uint32(this.number);
    return writer.uint32(messageTag).bytes(reader.bytes()).uint32(itemEndTag).finish();
  }
}

/** An extension, as generated code writes it. */
export function defineExtension<Message extends object, Out, In>(
  init: ExtensionInit<Out, In>,
): Extension<Message, Out, In> {
  return new Extension(init);
}

function bytesOf(message: object): Buffer | undefined {
  return (message as WithUnknownFields)[unknownFields];
}

/** One field among others: `start` is its tag, `value` what is behind that. */
interface Field {
  readonly tag: number;
  readonly start: number;
  readonly value: number;
  readonly end: number;
}

function fieldsOf(bytes: Buffer): Field[] {
  const fields: Field[] = [];
  const reader = new Reader(bytes);
  while (reader.pos < bytes.length) {
    const start = reader.pos;
    const tag = reader.tag();
    const value = reader.pos;
    reader.skipField(tag);
    fields.push({ tag, start, value, end: reader.pos });
  }
  return fields;
}

/** The parts of an item come in any order; of several messages, which are merged, all bytes count. */
function readItem(bytes: Buffer, start: number, end: number): { typeId: number; message: Buffer } {
  const reader = new Reader().reset(bytes, start, end);
  let typeId = 0;
  const messages: Buffer[] = [];
  for (let tag = reader.tag(); tag !== itemEndTag; tag = reader.tag()) {
    if (tag === typeIdTag) typeId = reader.uint32();
    else if (tag === messageTag) messages.push(reader.bytes());
    else reader.skipField(tag);
  }
  return { typeId, message: Buffer.concat(messages) };
}
