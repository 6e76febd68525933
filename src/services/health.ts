import type { CallContext } from "../call/context.js";
import { messages } from "../error/messages.js";
import { RpcError } from "../error/rpc-error.js";
import { Status } from "../error/status.js";
import {
  type HealthCheckRequest,
  type HealthCheckResponse,
  type HealthListResponse,
  ServingStatus,
} from "./builtin.js";

/** No service has a longer name: registries refuse those over 200 characters. */
const nameMaxLength = 256;

/** The handlers of `grpc.health.v1.Health` over what a provider knows of itself. */
export class HealthHandlers {
  readonly #statusOf: (service: string) => ServingStatus | undefined;
  readonly #services: () => Iterable<string>;
  readonly #watching = new Set<() => void>();

  /** `services`: full names of those there are. `statusOf`: of a service by its full name, of the provider by "". Undefined: it does not have that service. */
  constructor(services: () => Iterable<string>, statusOf: (service: string) => ServingStatus | undefined) {
    this.#services = services;
    this.#statusOf = statusOf;
  }

  check({ service }: HealthCheckRequest): HealthCheckResponse {
    refuseLong(service);
    const status = this.#statusOf(service);
    if (status === undefined) throw new RpcError(Status.NOT_FOUND, messages.noService(service));
    return { status };
  }

  list(): HealthListResponse {
    const statuses = new Map<string, HealthCheckResponse>();
    for (const service of ["", ...this.#services()]) {
      const status = this.#statusOf(service);
      if (status !== undefined) statuses.set(service, { status });
    }
    return { statuses };
  }

  /** Ends itself when the provider is about to stop, so that it does not hold up the drain. */
  async *watch(
    { service }: HealthCheckRequest,
    { signal, draining }: CallContext,
  ): AsyncGenerator<HealthCheckResponse, void> {
    refuseLong(service);
    let told: ServingStatus | undefined;
    for (;;) {
      const status = this.#statusOf(service) ?? ServingStatus.SERVICE_UNKNOWN;
      if (status !== told) {
        told = status;
        yield { status };
        // It may have changed again while the one before waited to be sent.
        continue;
      }
      if (signal.aborted || draining.aborted) return;
      await this.#change([signal, draining]);
    }
  }

  /** Some status may be another one now. */
  changed(): void {
    for (const wake of [...this.#watching]) wake();
  }

  /** Resolves at the next change, or when one of `ends` is aborted. */
  #change(ends: readonly AbortSignal[]): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#watching.delete(wake);
        for (const end of ends) end.removeEventListener("abort", wake);
        resolve();
      };
      this.#watching.add(wake);
      for (const end of ends) end.addEventListener("abort", wake);
    });
  }
}

/** What is asked for stays for the life of a watch, and in the text of an error. */
function refuseLong({ length }: string): void {
  if (length > nameMaxLength)
    throw new RpcError(Status.INVALID_ARGUMENT, messages.serviceNameTooLong(length, nameMaxLength));
}
