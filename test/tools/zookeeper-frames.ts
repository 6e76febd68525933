const lengthBytes = 4;

/** Cuts a stream of ZooKeeper's into its frames, however the network chunks it. */
export class FrameSplitter {
  #partial: Buffer = Buffer.alloc(0);

  /** The frames that are complete now, each with its length before it. */
  push(chunk: Buffer): Buffer[] {
    const frames: Buffer[] = [];
    let rest = this.#partial.length === 0 ? chunk : Buffer.concat([this.#partial, chunk]);
    while (rest.length >= lengthBytes && rest.length >= lengthBytes + rest.readInt32BE(0)) {
      const end = lengthBytes + rest.readInt32BE(0);
      frames.push(rest.subarray(0, end));
      rest = rest.subarray(end);
    }
    this.#partial = rest;
    return frames;
  }
}

/** ZooKeeper's operation codes that change something. */
export const writes: ReadonlyMap<number, string> = new Map([
  [1, "create"],
  [2, "delete"],
  [5, "setData"],
  [14, "multi"],
]);

/** The number of a request or a reply. */
export const xidOf = (frame: Buffer): number => frame.readInt32BE(lengthBytes);

/** The operation code of a request; not of a handshake, which has none. */
export const operationOf = (frame: Buffer): number => frame.readInt32BE(2 * lengthBytes);
