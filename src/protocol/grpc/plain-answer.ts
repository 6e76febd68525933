import type { Http2Stream, StreamHandler } from "../http2/stream.js";

/** Answers a request that is not a gRPC call with a readable text, once it has arrived completely. */
export class PlainAnswer implements StreamHandler {
  readonly #answer: { readonly status: string; readonly text: string; readonly allow?: string };

  constructor(answer: PlainAnswer["answer"]) {
    this.#answer = answer;
  }

  get answer(): { readonly status: string; readonly text: string; readonly allow?: string } {
    return this.#answer;
  }

  send(stream: Http2Stream): void {
    const { status, text, allow } = this.#answer;
    const body = Buffer.from(text, "utf8");
    stream.headers(undefined, [
      { name: ":status", value: status },
      { name: "content-type", value: "text/plain; charset=utf-8" },
      { name: "content-length", value: String(body.length) },
      ...(allow === undefined ? [] : [{ name: "allow", value: allow }]),
    ]);
    stream.write(body, true);
  }

  onData(stream: Http2Stream, _bytes: Buffer, start: number, end: number, endStream: boolean): void {
    stream.consumed(end - start);
    if (endStream) this.send(stream);
  }

  onTrailers(stream: Http2Stream): void {
    this.send(stream);
  }

  onWritable(): void {}

  onReset(stream: Http2Stream): void {
    stream.release();
  }
}
