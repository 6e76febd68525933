import { formatAddress } from "../../base/address.js";
import type { Filled } from "../../base/options.js";
import type { RegistryDeps } from "../deps.js";
import type { ProviderEntry } from "../entry.js";
import { RegistryError, reasonOf } from "../errors.js";
import { Reconciler } from "../reconciler.js";
import type { Registration } from "../registry.js";
import { tellLost } from "../view.js";
import type { Link } from "./link.js";
import type { ReadService } from "./service.js";

export interface KeptRegistrationParts<Service> {
  readonly registration: Registration;
  readonly entry: ProviderEntry;
  readonly service: Service;
  readonly link: Pick<Link, "up">;
  readonly deps: Filled<RegistryDeps>;
  readonly ttlMs: number;
  /** It is no longer maintained, and never will be. */
  readonly onOver: () => void;
}

/** What callers are shown of our address. */
export interface Shown<Instance> {
  /** Whether ours is among it. */
  readonly mine: boolean;
  /** Others that are not of our group. */
  readonly rivals: readonly Instance[];
  /** One of those was registered after ours. */
  readonly newer: boolean;
}

/** What callers should see by now is looked at again. */
const againMs = 1000;
const retryMs = 1000;
/** Missing permissions are retried slowly, since people have to change them. */
const deniedRetryMs = 10_000;

/** `superseded`: a newer provider has the address, and we wait for it to go. */
type State = "starting" | "established" | "superseded" | "withdrawing" | "over";

/**
 * One registration, kept up until it is withdrawn. A driver says how it is written, renewed and taken away.
 *
 *     starting --> established <--> superseded
 *        |              |               |
 *        '--------------+---------------+--> withdrawing --> over
 */
export abstract class KeptRegistration<Service extends ReadService, Instance> {
  protected readonly parts: KeptRegistrationParts<Service>;
  /** What runs all of it, one step at a time. */
  protected readonly reconciler: Reconciler;
  /** When the server has to be told again that we are alive, on the clock. */
  protected beatDueMs = 0;
  readonly #unlisten: () => void;
  readonly #waiting = new Set<() => void>();
  #state: State = "starting";
  #failure: RegistryError | undefined;
  #lastWarning = "";

  constructor(parts: KeptRegistrationParts<Service>) {
    this.parts = parts;
    const { deps, service, link } = parts;
    this.reconciler = new Reconciler({
      clock: deps.clock,
      run: () => this.#reconcile(),
      onError: (error) => this.#onError(error),
    });
    this.#unlisten = service.listen(() => this.#onRead());
    if (link.up) this.reconciler.trigger();
    service.refresh();
  }

  /** What callers are shown of our address, as it was last read. */
  protected abstract shown(): Shown<Instance>;
  /** Writes it where it is not (`unseen`: callers are not shown it), and says that we are alive when `beatDueMs` has come. */
  protected abstract keepUp(unseen: boolean): Promise<void>;
  /** Rejects when the server in use does not do it. */
  protected abstract takeAway(): Promise<void>;
  /** Removes an older registration of our address. May reject: then it expires. */
  protected abstract sweep(instance: Instance): Promise<void>;
  /** There is a new connection, perhaps to another server. */
  protected abstract begin(): void;
  protected abstract isDenied(error: unknown): boolean;

  /** Whether what `keepUp` failed with is put right by another try at once. */
  protected isPassing(_error: unknown): boolean {
    return false;
  }

  /** It is over: nothing is renewed any more. */
  protected end(): void {}

  /** `beatDueMs` for one who was heard now: three times within the time to live. */
  protected beatAgain(): void {
    const { deps, ttlMs } = this.parts;
    this.beatDueMs = deps.clock.now() + (ttlMs / 3) * (0.9 + 0.1 * deps.random());
  }

  /** Resolves when callers can see it. Rejects with RegistryError when that can never happen. */
  async established(): Promise<void> {
    if (this.#state === "starting") await this.#nextState();
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Why it is not established yet; empty when unknown. */
  get trouble(): string {
    return this.#lastWarning;
  }

  /** Resolves when callers no longer see it, or no server can be reached; then it expires. */
  async withdraw(): Promise<void> {
    if (this.#state === "over") return;
    this.#state = "withdrawing";
    this.reconciler.trigger();
    if (this.parts.link.up) await this.#nextState();
  }

  onUp(): void {
    this.begin();
    this.reconciler.trigger();
  }

  onDown(): void {
    if (this.#state === "withdrawing") this.#tell();
  }

  /** Withdraws it at once, without checking what callers see, and ends. Never rejects. */
  async close(): Promise<void> {
    if (this.#state === "starting") this.#failure = new RegistryError("closed", "the registry was closed");
    const over = this.#state === "over";
    this.#state = "over";
    this.#unlisten();
    this.#tell();
    await this.reconciler.stop();
    if (!over) await this.takeAway().catch(() => {});
    this.end();
  }

  #onRead(): void {
    const { service, registration } = this.parts;
    if (this.#state === "withdrawing" && !service.fresh) this.#tell();
    if (this.#state === "starting" && service.denial !== undefined) {
      // It could never be known whether callers see it.
      const text = `cannot register ${registration.service}: ${service.denial.message}`;
      this.#failure = new RegistryError("denied", text, service.denial);
      this.#tell();
      return;
    }
    this.reconciler.trigger();
  }

  async #reconcile(): Promise<number | undefined> {
    const { link, service, deps } = this.parts;
    if (this.#state === "over" || !link.up) return undefined;
    if (this.#state === "withdrawing") return this.#withdrawn();
    const { mine, newer, rivals } = this.shown();
    if (this.#state === "superseded") {
      if (rivals.length > 0 || service.recovering) return againMs;
    } else if (newer || (this.#state === "established" && !mine && rivals.length > 0)) {
      return this.#giveWay();
    }
    await this.keepUp(!mine);
    this.#lastWarning = "";
    if ((this.#state as State) === "withdrawing") return 0;
    // The next reading has what callers see.
    if (!mine) return againMs;
    this.#establish(rivals);
    return Math.max(0, this.beatDueMs - deps.clock.now());
  }

  #establish(older: readonly Instance[]): void {
    if (this.#state === "established") return;
    const { registration, entry, deps } = this.parts;
    const facts = { service: registration.service, address: formatAddress(entry.address) };
    if (this.#state === "superseded")
      deps.log.info("the newer provider of our address is gone: registered again", facts);
    this.#state = "established";
    this.#tell();
    // Those of earlier starts that did not end well would be shown again when we leave.
    for (const one of older) this.sweep(one).catch(() => {});
  }

  /** A newer provider has our address. A start fails; an established provider waits until the newer one leaves. */
  async #giveWay(): Promise<number | undefined> {
    const { registration, entry, deps } = this.parts;
    const before = this.#state;
    await this.takeAway();
    if ((this.#state as State) === "withdrawing") return 0;
    if ((this.#state as State) === "over") return undefined;
    const text = `${formatAddress(entry.address)} of ${registration.service} was registered by a newer provider`;
    const reason = new RegistryError("superseded", text);
    if (before === "starting") {
      this.#failure = reason;
      this.#finish();
      return undefined;
    }
    this.#state = "superseded";
    deps.log.warn("a registration gave way; it is made again when the newer one goes", {
      ...{ service: registration.service, reason: text },
    });
    tellLost(registration, reason, deps.log);
    return againMs;
  }

  async #withdrawn(): Promise<number | undefined> {
    await this.takeAway();
    // Callers may still see it; the next reading shows that.
    if (this.parts.service.fresh && this.shown().mine) return againMs;
    this.#finish();
    return undefined;
  }

  #onError(error: unknown): number | undefined {
    const { registration, link } = this.parts;
    if (!link.up) {
      if (this.#state === "withdrawing") this.#tell();
      return undefined;
    }
    if (this.isPassing(error)) return 0;
    const denied = this.isDenied(error);
    if (denied && this.#state === "starting") {
      const text = `cannot register ${registration.service}: ${reasonOf(error)}`;
      this.#failure = new RegistryError("denied", text, error);
      this.#finish();
      return undefined;
    }
    if (this.#state === "withdrawing") {
      // The wait for it ends here.
      this.#tell();
      this.#warn("cannot withdraw a registration", error);
    } else this.#warn("cannot keep a registration up", error);
    return denied ? deniedRetryMs : retryMs;
  }

  #warn(what: string, error: unknown): void {
    const { registration, deps } = this.parts;
    const text = reasonOf(error);
    if (text === this.#lastWarning) return;
    this.#lastWarning = text;
    deps.log.warn(what, { service: registration.service, error: text });
  }

  #finish(): void {
    if (this.#state === "over") return;
    this.#state = "over";
    this.#unlisten();
    this.end();
    this.parts.onOver();
    this.#tell();
  }

  #nextState(): Promise<void> {
    return new Promise((resolve) => this.#waiting.add(resolve));
  }

  #tell(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}
