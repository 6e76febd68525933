/** How a TLS port classifies the first bytes of a connection. */
export type Hello =
  | { readonly kind: "plain" }
  | { readonly kind: "need-more" }
  /** `pskNames`: the names of the keys that the caller offers, including tickets. */
  | { readonly kind: "tls"; readonly pskNames: readonly string[] };

/** A record of a handshake, and its version's major number. */
const handshakeRecord = 0x16;
const majorVersion = 0x03;
const clientHello = 0x01;
const pskExtension = 41;
const recordHeaderBytes = 5;
/** A ClientHello beyond this is left to TLS itself, which refuses it. */
const helloMaxBytes = 64 * 1024;

const plain: Hello = { kind: "plain" };
const needMore: Hello = { kind: "need-more" };
const tlsWithoutPsk: Hello = { kind: "tls", pskNames: [] };

/**
 * `waitForPsk`: the names of offered keys are needed, and so the whole ClientHello. Otherwise they are only read from one that is
 * all there.
 */
export function readHello(received: Buffer, waitForPsk: boolean): Hello {
  if (received.length > 0 && received[0] !== handshakeRecord) return plain;
  if (received.length < 2) return needMore;
  if (received[1] !== majorVersion) return plain;
  const unfinished = waitForPsk ? needMore : tlsWithoutPsk;
  const message = handshakeBytes(received);
  if (message === undefined || received.length > helloMaxBytes) return tlsWithoutPsk;
  if (message.length < 4) return unfinished;
  if (message[0] !== clientHello) return tlsWithoutPsk;
  const length = message.readUIntBE(1, 3);
  if (length > helloMaxBytes) return tlsWithoutPsk;
  if (message.length < 4 + length) return unfinished;
  return { kind: "tls", pskNames: pskNamesOf(message.subarray(4, 4 + length)) };
}

/** The payload of the records; undefined if one is not a handshake record, which TLS itself will refuse. */
function handshakeBytes(received: Buffer): Buffer | undefined {
  const parts: Buffer[] = [];
  for (let at = 0; at < received.length; ) {
    if (received[at] !== handshakeRecord) return undefined;
    if (at + recordHeaderBytes > received.length) break;
    const end = at + recordHeaderBytes + received.readUInt16BE(at + 3);
    parts.push(received.subarray(at + recordHeaderBytes, Math.min(end, received.length)));
    at = end;
  }
  return parts.length === 1 ? parts[0] : Buffer.concat(parts);
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
