import type { InContext } from "./link.js";
import type { InprocServerSession } from "./server-session.js";

/** A provider as channels of its own process see it. */
export interface LocalProvider {
  /** A new connection; `caller` is the async context of the channel. Undefined: it is refused. */
  accept(caller: InContext): InprocServerSession | undefined;
}

/** The providers of a process by the address that the registry knows them by. */
export class LocalProviders {
  readonly #byAddress = new Map<string, LocalProvider>();

  /** @internal */
  find(address: string): LocalProvider | undefined {
    return this.#byAddress.get(address);
  }

  /** @internal */
  has(address: string): boolean {
    return this.#byAddress.has(address);
  }

  /**
   * Of two with one address the newer one is used. Returns a function that removes it.
   *
   * @internal
   */
  add(address: string, provider: LocalProvider): () => void {
    this.#byAddress.set(address, provider);
    return () => {
      if (this.#byAddress.get(address) === provider) this.#byAddress.delete(address);
    };
  }
}

/** One for the process, which may have several applications. */
export const processProviders = new LocalProviders();
