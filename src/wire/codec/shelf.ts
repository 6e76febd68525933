/** What a writer keeps at most for its next message: a buffer that grew beyond it for one large message is let go. */
export const largeBufferBytes = 256 * 1024;

/** Buffers that go from one writer to the next: those of a turn of the event loop, and those of large messages. */
const shelves = [
  { bytes: 16 * 1024, most: 64, spare: [] as Buffer[] },
  { bytes: largeBufferBytes, most: 8, spare: [] as Buffer[] },
] as const;

/** A buffer of at least `count` bytes, from the shelf if there is one. */
export function takeBuffer(count: number): Buffer {
  for (const { bytes, spare } of shelves) {
    if (count <= bytes) return spare.pop() ?? Buffer.allocUnsafeSlow(bytes);
  }
  return Buffer.allocUnsafeSlow(count);
}

/** Puts a buffer nobody uses any more where the next writer finds it. */
export function shelve(buffer: Buffer): void {
  for (const { bytes, most, spare } of shelves) {
    if (buffer.length === bytes && spare.length < most) spare.push(buffer);
  }
}
