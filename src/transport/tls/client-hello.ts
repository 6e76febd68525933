import { ByteQueue } from "../../base/byte-queue.js";
import { messages } from "../../error/messages.js";

/** How a TLS port classifies the first bytes of a connection. */
export type Hello =
  | { readonly kind: "plain" }
  | { readonly kind: "need-more" }
  | { readonly kind: "refused"; readonly reason: string }
  /** `pskNames`: the names of the keys that the caller offers, including tickets. */
  | { readonly kind: "tls"; readonly pskNames: readonly string[] };

/** A record of a handshake, and its version's major number. */
const handshakeRecord = 0x16;
const majorVersion = 0x03;
const clientHello = 0x01;
const pskExtension = 41;
const recordHeaderBytes = 5;
const messageHeaderBytes = 4;
/** Of a ClientHello, and of the records it comes in. Honest ones take some hundred bytes, two thousand with keys of new kinds. */
export const helloMaxBytes = 32 * 1024;

const plain: Hello = { kind: "plain" };
const needMore: Hello = { kind: "need-more" };
const tlsWithoutPsk: Hello = { kind: "tls", pskNames: [] };
const tooLarge: Hello = { kind: "refused", reason: messages.helloTooLarge(helloMaxBytes) };

/** Reads the first bytes of a connection as they come, each of them once: whoever sends them one at a time must not make us read all again. */
export class HelloReader {
  readonly #received = new ByteQueue();
  readonly #message = new ByteQueue();
  /** All before it is read. */
  #at = 0;
  /** Bytes of the record that have not come. */
  #missing = 0;

  /** All that has come. */
  get received(): Buffer {
    return this.#received.bytes;
  }

  /**
   * `waitForPsk`: the names of offered keys are needed, and so the whole ClientHello. Otherwise they are only read from one that is
   * all there.
   */
  read(chunk: Buffer, waitForPsk: boolean): Hello {
    this.#received.append(chunk);
    const received = this.#received.bytes;
    if (received.length > 0 && received[0] !== handshakeRecord) return plain;
    if (received.length < 2) return needMore;
    if (received[1] !== majorVersion) return plain;
    const hello = this.#readRecords(received);
    if (hello !== undefined) return hello;
    if (!waitForPsk) return tlsWithoutPsk;
    return received.length > helloMaxBytes ? tooLarge : needMore;
  }

  /** Undefined: the ClientHello has not come yet. */
  #readRecords(received: Buffer): Hello | undefined {
    while (this.#at < received.length) {
      if (this.#missing === 0) {
        // TLS itself refuses other records.
        if (received[this.#at] !== handshakeRecord) return tlsWithoutPsk;
        if (this.#at + recordHeaderBytes > received.length) return undefined;
        this.#missing = received.readUInt16BE(this.#at + 3);
        // RFC 8446, 5.1: there are none. Without an end of them one caller could keep us busy.
        if (this.#missing === 0) return { kind: "refused", reason: messages.helloEmptyRecord };
        this.#at += recordHeaderBytes;
      }
      const part = received.subarray(this.#at, this.#at + this.#missing);
      this.#message.append(part);
      this.#at += part.length;
      this.#missing -= part.length;
      const hello = this.#readMessage();
      if (hello !== undefined) return hello;
    }
    return undefined;
  }

  #readMessage(): Hello | undefined {
    const message = this.#message.bytes;
    if (message.length < messageHeaderBytes) return undefined;
    if (message[0] !== clientHello) return tlsWithoutPsk;
    const end = messageHeaderBytes + message.readUIntBE(1, 3);
    if (end > helloMaxBytes) return tooLarge;
    if (message.length < end) return undefined;
    return { kind: "tls", pskNames: pskNamesOf(message.subarray(messageHeaderBytes, end)) };
  }
}

/** Reads length-prefixed vectors; beyond the end they are empty. */
class Vectors {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Buffer, at = 0) {
    this.#bytes = bytes;
    this.#at = at;
  }

  get atEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  number(bytes: 1 | 2): number {
    const { length } = this.#bytes;
    if (this.#at + bytes > length) {
      this.#at = length;
      return 0;
    }
    const value = this.#bytes.readUIntBE(this.#at, bytes);
    this.#at += bytes;
    return value;
  }

  skip(bytes: number): void {
    this.#at += bytes;
  }

  vector(lengthBytes: 1 | 2): Buffer {
    const length = this.number(lengthBytes);
    const start = this.#at;
    this.#at = Math.min(start + length, this.#bytes.length);
    return this.#bytes.subarray(start, this.#at);
  }
}

/** The names in the extension `pre_shared_key`. They only select the keys that TLS then checks. */
function pskNamesOf(hello: Buffer): string[] {
  const fields = new Vectors(hello);
  fields.skip(2 + 32);
  fields.vector(1);
  fields.vector(2);
  fields.vector(1);
  const extensions = new Vectors(fields.vector(2));
  while (!extensions.atEnd) {
    const type = extensions.number(2);
    const body = extensions.vector(2);
    if (type !== pskExtension) continue;
    const names: string[] = [];
    const identities = new Vectors(new Vectors(body).vector(2));
    while (!identities.atEnd) {
      names.push(identities.vector(2).toString("latin1"));
      identities.skip(4);
    }
    return names;
  }
  return [];
}
