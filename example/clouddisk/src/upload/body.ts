import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import type { FastifyReply, FastifyRequest } from "fastify";
import { Code, Refusal } from "../common/codes.js";

/** How fast a client has to send: so many bytes in every period it is listened to. */
export interface Pace {
  periodMs: number;
  minBytes: number;
}

/** About 1 KiB/s. Shorter than half of the time HTTP gives a silent connection, so that the client is told why. */
export const defaultPace: Pace = { periodMs: 25_000, minBytes: 25_600 };

class TooSlow extends Error {
  override readonly name = "TooSlow";
  readonly statusCode = 408;

  constructor({ periodMs, minBytes }: Pace) {
    super(`the body comes too slowly: at least ${minBytes} bytes must come in ${periodMs / 1000} s`);
  }
}

function cutOff(): Refusal {
  return new Refusal(Code.PARAMETER, "the connection ended before the body did");
}

/**
 * The body of a request. Destroyed before all of it has come, it throws the rest away as it arrives, and the connection goes
 * on; Node would stop reading, and a client that first sends everything would never get its reply.
 */
export class IncomingBody extends Readable {
  readonly #raw: IncomingMessage;
  #begun = false;

  constructor(raw: IncomingMessage) {
    super({ highWaterMark: raw.readableHighWaterMark });
    this.#raw = raw;
    // It may fail while nobody reads yet.
    this.on("error", () => {});
    raw.on("error", this.#onError).once("close", this.#onClose);
  }

  override _read(): void {
    if (!this.#begun) {
      this.#begun = true;
      this.#raw.on("data", this.#onData).once("end", this.#onEnd);
    }
    this.#raw.resume();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#raw.off("data", this.#onData).off("end", this.#onEnd).off("close", this.#onClose);
    this.#raw.resume();
    done(error);
  }

  readonly #onData = (chunk: Buffer): void => {
    if (!this.push(chunk)) this.#raw.pause();
  };
  readonly #onEnd = (): void => {
    this.push(null);
  };
  readonly #onError = (error: Error): void => {
    this.destroy(error);
  };
  readonly #onClose = (): void => {
    if (!this.#raw.readableEnded) this.destroy(cutOff());
  };
}

/**
 * Does what reads the body of a request, and tells why it could not: 408, and the end of the connection, for a client that
 * does not keep the pace; a Refusal for one that went away. Time the server does not listen is not the client's.
 */
export async function receiving<T>(
  request: FastifyRequest,
  reply: FastifyReply,
  pace: Pace,
  receive: () => Promise<T>,
): Promise<T> {
  const { raw } = request;
  if (raw.destroyed) throw cutOff();
  raw.on("error", () => {});
  const timer = watch(raw, pace, () => {
    reply.header("connection", "close");
    // Whoever reads the body listens to this, as Node says it when a client goes away.
    raw.emit("error", new TooSlow(pace));
  });
  try {
    return await receive();
  } catch (error) {
    const { code = "" } = error as { code?: string };
    const ended = ["ECONNRESET", "ERR_STREAM_PREMATURE_CLOSE", "FST_MP_PREMATURE_CLOSE"].includes(code);
    throw ended && raw.destroyed && !raw.complete ? cutOff() : error;
  } finally {
    clearInterval(timer);
  }
}

function watch(raw: IncomingMessage, { periodMs, minBytes }: Pace, onTooSlow: () => void): NodeJS.Timeout {
  const { socket } = raw;
  let { bytesRead } = socket;
  let held = false;
  raw.on("pause", () => {
    held = true;
  });
  return setInterval(() => {
    const listened = raw.readableFlowing === true && !held;
    if (listened && !raw.complete && socket.bytesRead - bytesRead < minBytes) onTooSlow();
    held = false;
    ({ bytesRead } = socket);
  }, periodMs);
}
