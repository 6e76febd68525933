/** What a writer keeps at most for its next message: a buffer that grew beyond it for one large message is let go. */
export const largeBufferBytes = 256 * 1024;

/** Buffers that go from one writer to the next: those of a turn of the event loop, and those of large messages. */
const shelves = [
  { bytes: 16 * 1024, most: 64, spare: [] as Buffer[] },
  { bytes: largeBufferBytes, most: 8, spare: [] as Buffer[] },
] as const;

/**
 * Larger ones of any size, as long as the garbage collector leaves them there: one large message after the other is
 * written into the same memory, and a process that sends no more of them gets it back.
 */
const large: Array<WeakRef<Buffer>> = [];
const largeMost = 8;

/** A buffer of at least `count` bytes, from the shelf if there is one. */
export function takeBuffer(count: number): Buffer {
  for (const { bytes, spare } of shelves) {
    if (count <= bytes) return spare.pop() ?? Buffer.allocUnsafeSlow(bytes);
  }
  for (let i = large.length - 1; i >= 0; i--) {
    const buffer = large[i]?.deref();
    if (buffer === undefined) large.splice(i, 1);
    else if (buffer.length >= count) {
      large.splice(i, 1);
      return buffer;
    }
  }
  return Buffer.allocUnsafeSlow(count);
}

/** Puts a buffer nobody uses any more where the next writer finds it. */
export function shelve(buffer: Buffer): void {
  for (const { bytes, most, spare } of shelves) {
    if (buffer.length === bytes && spare.length < most) spare.push(buffer);
  }
  if (buffer.length <= largeBufferBytes) return;
  // The oldest makes room: when sizes change, those that fit no more must not stay in the way.
  if (large.length === largeMost) large.shift();
  large.push(new WeakRef(buffer));
}
