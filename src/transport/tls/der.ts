/** One value of DER, the encoding of certificates and of lists of revoked ones. */
export interface DerValue {
  readonly tag: number;
  readonly content: Buffer;
  /** With its tag and length. */
  readonly whole: Buffer;
}

export const derTag = { integer: 0x02, octets: 0x04, oid: 0x06, utcTime: 0x17, time: 0x18, sequence: 0x30 };

/** Throws `RangeError` for bytes that are not DER: a value must have a definite length and end within `bytes`. */
export function readDer(bytes: Buffer, start = 0): DerValue {
  const tag = bytes[start];
  const short = bytes[start + 1];
  if (tag === undefined || short === undefined) throw malformed(start);
  // A number of the tag beyond 30 takes more bytes; no certificate has one.
  if ((tag & 0x1f) === 0x1f) throw malformed(start);
  let contentStart = start + 2;
  let length = short;
  if (short >= 0x80) {
    const lengthBytes = short & 0x7f;
    if (lengthBytes === 0 || lengthBytes > 4 || contentStart + lengthBytes > bytes.length) {
      throw malformed(start);
    }
    length = bytes.readUIntBE(contentStart, lengthBytes);
    contentStart += lengthBytes;
  }
  const end = contentStart + length;
  if (end > bytes.length) throw malformed(start);
  return { tag, content: bytes.subarray(contentStart, end), whole: bytes.subarray(start, end) };
}

/** The values that a sequence, a set or an explicit tag holds. Throws `RangeError`. */
export function derChildren(content: Buffer): DerValue[] {
  const children: DerValue[] = [];
  for (let at = 0; at < content.length; ) {
    const child = readDer(content, at);
    children.push(child);
    at += child.whole.length;
  }
  return children;
}

function malformed(at: number): RangeError {
  return new RangeError(`not DER at byte ${at}`);
}

/** The DER of every block of `label` (`CERTIFICATE`, `X509 CRL`) in a PEM text. */
export function pemBlocks(pem: string, label: string): Buffer[] {
  const blocks = pem.matchAll(
    new RegExp(`-----BEGIN ${label}-----([A-Za-z0-9+/=\\s]+)-----END ${label}-----`, "g"),
  );
  return Array.from(blocks, ([, base64 = ""]) => Buffer.from(base64, "base64"));
}
