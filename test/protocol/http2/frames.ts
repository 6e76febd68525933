/** A frame from its parts; `payload` is hex, with blanks anywhere. */
export function frame(type: number, flags: number, streamId: number, payload: string | Buffer = ""): Buffer {
  const content = typeof payload === "string" ? Buffer.from(payload.replaceAll(" ", ""), "hex") : payload;
  const header = Buffer.alloc(9);
  header.writeUIntBE(content.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(streamId >>> 0, 5);
  return Buffer.concat([header, content]);
}

export function settings(...entries: Array<readonly [id: number, value: number]>): Buffer {
  const payload = Buffer.alloc(entries.length * 6);
  for (const [i, [id, value]] of entries.entries()) {
    payload.writeUInt16BE(id, i * 6);
    payload.writeUInt32BE(value, i * 6 + 2);
  }
  return frame(4, 0, 0, payload);
}
