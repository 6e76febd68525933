import type { Meter } from "../meter.js";

/** Something whose streams are measured: its provider runs in one process, its caller in another. */
export interface StreamTarget {
  startProvider(): Promise<StreamProvider>;
  /** `endpoint`: what the provider gave. */
  startCaller(endpoint: string): Promise<StreamCaller>;
}

export interface StreamProvider {
  /** What the caller needs to find it. */
  readonly endpoint: string;
  /** Messages of client streams so far; `payloadBytes` for a target that counts bytes. */
  received(payloadBytes: number): number;
  close(): Promise<void>;
}

export interface StreamCaller {
  /**
   * Keeps the streams of `load` busy while `meter.running`, and counts in `meter.completed` the messages that came back, or that
   * were given to client streams. Resolves when all streams have ended; rejects when a message was lost.
   */
  drive(meter: Meter, load: StreamLoad): Promise<void>;
  /** What an RPC can do beside that; the raw echo cannot. */
  readonly held?: HeldStreams;
  close(): Promise<void>;
}

/** Streams that are open and at rest. */
export interface HeldStreams {
  /** Opens `count` more streams that wait for messages, and resolves when each has had one. */
  openIdle(kind: IdleKind, count: number): Promise<void>;
  /** Opens a server stream without end, reads a message of `payloadBytes`, and no more. */
  stall(payloadBytes: number): Promise<void>;
}

export type IdleKind = "server" | "bidi";

export interface StreamLoad {
  kind: "server" | "client" | "bidi";
  /** Of a message, encoded. */
  payloadBytes: number;
  streams: number;
  /** With `bidi`: how many messages of each stream are on their way there or back. */
  outstanding?: number;
}

export const streamTargetNames = ["mprpc", "raw", "grpc-js"] as const;

export type StreamTargetName = (typeof streamTargetNames)[number] | "mprpc-grpc";

/** Loads only the code of one target: a measured process holds nothing of the others. */
export async function loadStreamTarget(name: StreamTargetName): Promise<StreamTarget> {
  const module: { target: StreamTarget } = await import(new URL(`targets/${name}.js`, import.meta.url).href);
  return module.target;
}

/** A message that takes `payloadBytes` (2 or more, but not 130 or 16,387) when it is encoded. */
export function pieceOf(payloadBytes: number): { data: Buffer } {
  const lengthBytes = [1, 2, 3].find((bytes) => payloadBytes - 1 - bytes < 2 ** (7 * bytes)) ?? 4;
  return { data: Buffer.alloc(payloadBytes - 1 - lengthBytes, "1") };
}

/** Runs the streams of a load side by side. */
export async function sideBySide({ streams }: StreamLoad, one: () => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: streams }, one));
}

export function checkCount(sent: number, received: number): void {
  if (sent !== received) throw new Error(`${sent} messages were sent, ${received} received`);
}
