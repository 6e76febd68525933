import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { onTestFinished } from "vitest";
import type { Disk, User } from "../support/disk.js";

export interface FeedEvent {
  id: string;
  event: string;
  data: Record<string, unknown>;
}

/** A client of `GET /api/events`. */
export class FeedReader {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  /** All that came. */
  readonly events: FeedEvent[] = [];
  /** What the server asked for with `retry:`. */
  retryMs: number | undefined;
  /** Resolves when the server has ended it; rejects when it was cut off. */
  readonly ended: Promise<void>;
  readonly #reply: IncomingMessage;

  /** With `paused` nothing is read until `resume`. */
  constructor(reply: IncomingMessage, paused: boolean) {
    this.#reply = reply;
    this.status = reply.statusCode ?? 0;
    this.headers = reply.headers;
    let rest = "";
    reply.setEncoding("utf8");
    reply.on("data", (chunk: string) => {
      const blocks = (rest + chunk).split("\n\n");
      rest = blocks.pop() ?? "";
      for (const block of blocks) this.#take(block);
    });
    if (paused) reply.pause();
    this.ended = once(reply, "end").then(() => {});
    this.ended.catch(() => {});
  }

  close(): void {
    this.#reply.destroy();
  }

  resume(): void {
    this.#reply.resume();
  }

  /** Of the changes: `added a`, or of uploads `upload 1/2 open`. */
  get told(): string[] {
    return this.events.map(({ event, data }) => {
      const { name } = (data.entry ?? {}) as { name?: string };
      if (name !== undefined) return `${data.change} ${name}`;
      const upload = data.upload as { partsDone: number; partCount: number; state: string } | undefined;
      return upload === undefined
        ? event
        : `${event} ${upload.partsDone}/${upload.partCount} ${upload.state}`;
    });
  }

  #take(block: string): void {
    const fields = new Map(
      block.split("\n").map((line) => {
        const at = line.indexOf(":");
        return [line.slice(0, at), line.slice(at + 1).trimStart()];
      }),
    );
    const retry = fields.get("retry");
    if (retry !== undefined) this.retryMs = Number(retry);
    const data = fields.get("data");
    if (data === undefined) return;
    this.events.push({
      id: fields.get("id") ?? "",
      event: fields.get("event") ?? "message",
      data: JSON.parse(data) as Record<string, unknown>,
    });
  }
}

/** Opens a feed, on a connection of its own; it is closed with the test. */
export async function openFeed(
  disk: Disk,
  user: Pick<User, "headers">,
  options: { query?: string; headers?: Record<string, string>; url?: string; paused?: boolean } = {},
): Promise<FeedReader> {
  const { query = "", headers = {}, url = disk.url, paused = false } = options;
  const request = get(`${url}/api/events${query}`, {
    headers: { ...user.headers, ...headers },
    agent: false,
  });
  onTestFinished(() => void request.destroy());
  const [reply] = (await once(request, "response")) as [IncomingMessage];
  return new FeedReader(reply, paused);
}
