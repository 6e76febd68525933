import { messages } from "../error/messages.js";
import { RpcError } from "../error/rpc-error.js";
import { Status } from "../error/status.js";
import { redactUrl } from "../values/url-text.js";
import type { BrokerDriver, DriverDeps } from "./driver.js";
import type { MemoryStore } from "./memory.js";
import { natsForm, openNats } from "./nats/open.js";
import { openRedis, redisForm } from "./redis/open.js";
import { type BrokerUrl, readBrokerUrl, type UrlForm } from "./url.js";

/** A kind of broker, by the scheme of its URL. One more is one more of these. */
interface Scheme {
  readonly form: UrlForm;
  /** Reads the whole URL, and gives what makes the driver. The driver and its library are loaded by that, not before. Throws RpcError. */
  read(url: BrokerUrl): (deps: DriverDeps, memory: MemoryStore) => Promise<BrokerDriver>;
}

const schemes: Readonly<Record<string, Scheme>> = {
  memory: {
    form: { form: "memory:", defaultPort: 0, options: [] },
    read: (url) => {
      if (url.servers.length > 0 || url.path !== "") throw url.fail("memory: is within the process");
      return async (deps, memory) => {
        const { MemoryDriver } = await import("./memory.js");
        return new MemoryDriver(memory, deps);
      };
    },
  },
  redis: { form: redisForm, read: openRedis },
  nats: { form: natsForm, read: openNats },
};

/** The forms of brokers' URLs, for the error about one that is none of them. */
export const brokerForms = Object.values(schemes)
  .map(({ form }) => form.form)
  .join("; or ");

/** What opens the broker of a URL. Throws RpcError INVALID_ARGUMENT that tells what is wrong and what is allowed; no secret is in it. */
export function readBroker(url: string): (deps: DriverDeps, memory: MemoryStore) => Promise<BrokerDriver> {
  const named = /^([a-z]+):/.exec(url)?.[1] ?? "";
  const scheme = Object.hasOwn(schemes, named) ? schemes[named] : undefined;
  if (scheme !== undefined) return scheme.read(readBrokerUrl(url, scheme.form));
  const reason = named === "" ? "it is no URL" : `there is no broker of the kind ${named}`;
  const shown = JSON.stringify(redactUrl(url));
  throw new RpcError(Status.INVALID_ARGUMENT, messages.brokerUrlInvalid(shown, reason, brokerForms));
}

/** Whether `text` can be the URL of a broker. */
export function isBrokerUrl(text: string): boolean {
  try {
    readBroker(text);
    return true;
  } catch {
    return false;
  }
}
