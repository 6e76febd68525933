import type { Connection, ConnectionHandler } from "../../src/transport/transport.js";

/** A connection that passes everything on to another; what differs is overridden. */
export class ForwardedConnection implements Connection {
  protected readonly inner: Connection;

  constructor(inner: Connection) {
    this.inner = inner;
  }

  get remote(): string {
    return this.inner.remote;
  }

  get local(): string {
    return this.inner.local;
  }

  get unwrittenBytes(): number {
    return this.inner.unwrittenBytes;
  }

  get closed(): boolean {
    return this.inner.closed;
  }

  /** Without `readTo`, so that reads are small and their memory used again. */
  setHandler(handler: ConnectionHandler): void {
    this.inner.setHandler({
      onData: (chunk) => this.onData(chunk, handler),
      onEnd: () => handler.onEnd(),
      onDrain: () => handler.onDrain(),
      onClose: (error) => this.onClose(error, handler),
    });
  }

  protected onData(chunk: Buffer, handler: ConnectionHandler): void {
    handler.onData(chunk);
  }

  protected onClose(error: Error | undefined, handler: ConnectionHandler): void {
    handler.onClose(error);
  }

  write(data: Uint8Array): boolean {
    return this.inner.write(data);
  }

  pause(): void {
    this.inner.pause();
  }

  resume(): void {
    this.inner.resume();
  }

  end(): void {
    this.inner.end();
  }

  destroy(error?: Error): void {
    this.inner.destroy(error);
  }

  reset(): void {
    this.inner.reset();
  }
}
