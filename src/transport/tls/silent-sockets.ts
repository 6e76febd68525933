import type net from "node:net";

/** Each only has a socket, and what has come of its first message. */
const silentMax = 4096;
/** The same of one address, so that it cannot push out all others. */
const silentPerAddressMax = 1024;

/** Sockets whose first bytes have not arrived, or not all of them. Beyond the limits the oldest is closed. */
export class SilentSockets {
  readonly #all = new Set<net.Socket>();
  readonly #of = new Map<string, Set<net.Socket>>();
  readonly #addresses = new WeakMap<net.Socket, string>();

  add(socket: net.Socket, address: string): void {
    const ofAddress = this.#of.get(address) ?? new Set();
    this.#of.set(address, ofAddress.add(socket));
    this.#all.add(socket);
    this.#addresses.set(socket, address);
    const tooMany =
      ofAddress.size > silentPerAddressMax ? ofAddress : this.#all.size > silentMax ? this.#all : undefined;
    const [oldest] = tooMany ?? [];
    if (oldest === undefined) return;
    this.delete(oldest);
    oldest.resetAndDestroy();
  }

  delete(socket: net.Socket): void {
    if (!this.#all.delete(socket)) return;
    const address = this.#addresses.get(socket) ?? "";
    const ofAddress = this.#of.get(address);
    ofAddress?.delete(socket);
    if (ofAddress?.size === 0) this.#of.delete(address);
  }

  close(): void {
    for (const socket of [...this.#all]) socket.destroy();
  }
}
