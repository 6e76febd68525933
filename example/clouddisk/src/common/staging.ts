import path from "node:path";

/**
 * Files on their way into the store, beneath the data folder; upload, download and transfer of one node share them.
 *
 *     staging/parts/<upload id>     an upload in parts, sparse, each part at its final offset
 *     staging/whole/<random>        a whole file being received
 *     staging/content/<ab>/<hash>   complete and verified, until the store has it
 */
export class Staging {
  readonly folder: string;

  constructor(dataFolder: string) {
    this.folder = path.join(dataFolder, "staging");
  }

  get partsFolder(): string {
    return path.join(this.folder, "parts");
  }

  get wholeFolder(): string {
    return path.join(this.folder, "whole");
  }

  get contentFolder(): string {
    return path.join(this.folder, "content");
  }

  /** `uploadId` is checked: 32 hex digits. */
  parts(uploadId: string): string {
    if (!/^[0-9a-f]{32}$/.test(uploadId)) throw new TypeError("not an upload id");
    return path.join(this.partsFolder, uploadId);
  }

  content(fileHash: string): string {
    if (!/^[0-9a-f]{64}$/.test(fileHash)) throw new TypeError("not a SHA-256");
    return path.join(this.contentFolder, fileHash.slice(0, 2), fileHash);
  }
}
