import type { UploadState } from "./state.js";

/** What a view shows of one upload. */
export interface UploadView {
  readonly id: number;
  readonly name: string;
  readonly state: UploadState;
  readonly bytesPerSecond: number;
}

/** Begun in an earlier visit, or on another device; its file has to be chosen again. */
export interface Unfinished {
  readonly key: string;
  readonly name: string;
  readonly hash: string;
  readonly sizeBytes: number;
  readonly parentId: number;
  readonly sentBytes: number;
  readonly uploadId: string;
  /** Another tab of this browser, or another device, is sending it. */
  readonly elsewhere: "tab" | "device" | undefined;
}

export interface QueueView {
  /** The disk does not answer: what is under way waits. */
  readonly lost: boolean;
  readonly uploads: readonly UploadView[];
  readonly unfinished: readonly Unfinished[];
  readonly bytesPerSecond: number;
}
