import net from "node:net";
import { type Address, type Registry, RpcError, Status } from "mprpc";
import { decodeMessage, encodeMessage } from "mprpc/codec";
import type { SeededRandom } from "mprpc/testing";
import { classicDialects, writeClassicRequest } from "../../src/protocol/classic/classic-wire.js";
import { Blob } from "../support/gen/probe.js";

/** Nothing here takes so long; the classic wire has no deadline of its own. */
const silenceMs = 60_000;

/** Callers as the C++ framework's: a connection a call, bytes out, bytes in, in each of the four dialects. */
export class ClassicCallers {
  readonly #watch: ReturnType<Registry["watch"]>;
  readonly #random: SeededRandom;
  #addresses: readonly Address[] = [];
  /** The first list has come, and somebody is in it. */
  readonly ready: Promise<void>;

  constructor(registry: Registry, random: SeededRandom) {
    this.#random = random;
    let onReady = (): void => {};
    this.ready = new Promise((resolve) => {
      onReady = resolve;
    });
    this.#watch = registry.watch("probe.ProbeService", ({ endpoints }) => {
      this.#addresses = endpoints;
      if (endpoints.length > 0) onReady();
    });
  }

  /** Echoes once; an RpcError says what the caller of a classic provider can know. */
  async call(request: Blob): Promise<Blob> {
    if (this.#addresses.length === 0)
      throw new RpcError(Status.UNAVAILABLE, "no provider is listed", { executed: "never" });
    const address = this.#random.pick(this.#addresses);
    const dialect = this.#random.pick(classicDialects);
    const bytes = writeClassicRequest(dialect, "ProbeService", "Echo", (writer) =>
      Blob.encode(request, writer),
    );
    // An echo has the length of what was sent, and a framed one four bytes more.
    const length = encodeMessage(Blob, request).length;
    const lead = dialect === "framed" ? 4 : 0;
    const reply = await exchange(address, bytes, lead + length);
    return decodeMessage(Blob, reply.subarray(lead));
  }

  close(): void {
    this.#watch.close();
  }
}

/** Sends, and gives the first `length` bytes that come. */
function exchange({ host, port }: Address, bytes: Buffer, length: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let received = 0;
    let connected = false;
    const lost = (why: string) =>
      reject(
        new RpcError(Status.UNAVAILABLE, `classic: ${why}`, { executed: connected ? "maybe" : "never" }),
      );
    const socket = net.connect({ host, port, noDelay: true }, () => {
      connected = true;
      socket.write(bytes);
    });
    socket.setTimeout(silenceMs, () => {
      reject(new RpcError(Status.DEADLINE_EXCEEDED, "classic: silence", { executed: "maybe" }));
      socket.destroy();
    });
    socket.on("data", (chunk) => {
      chunks.push(chunk);
      received += chunk.length;
      if (received < length) return;
      resolve(Buffer.concat(chunks));
      socket.destroy();
    });
    socket.on("error", (error) => lost(error.message));
    socket.on("close", () => lost("closed before the reply was whole"));
  });
}
