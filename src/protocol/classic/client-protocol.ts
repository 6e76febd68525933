import { formatAddress } from "../../base/address.js";
import type { Clock } from "../../base/clock.js";
import type { Logger } from "../../log/logger.js";
import type { Transport } from "../../transport/transport.js";
import type { ConnectionPerCallProtocol } from "../protocol.js";
import { ClassicClient, type FoundDialect } from "./classic-client.js";
import { classicDialects } from "./classic-wire.js";

/** Most providers whose dialects are remembered after they have left the list. */
const rememberedMax = 1024;

export interface ClassicClientParts {
  readonly clock: Clock;
  readonly transport: Transport;
  readonly log: Logger;
  readonly connectTimeoutMs: number;
  readonly bodyMaxBytes: number;
}

export function classicClient(parts: ClassicClientParts): ConnectionPerCallProtocol {
  const { log, ...options } = parts;
  /** The detected dialects of providers, by address. */
  const remembered = new Map<string, FoundDialect>();
  return {
    name: "classic",
    connects: "each-call",
    open({ address, attributes, expected }, observer) {
      const key = formatAddress(address);
      if (remembered.size >= rememberedMax && !remembered.has(key)) remembered.clear();
      const found = remembered.get(key) ?? { dialect: undefined };
      remembered.set(key, found);
      const dialect = classicDialects.find((one) => one === attributes.dialect);
      let longReplyReported = false;
      const onLongBareReply = (bytes: number): void => {
        if (longReplyReported) return;
        longReplyReported = true;
        log.warn(
          `a reply of ${bytes} bytes in the varint dialect, which does not say where a reply ends: silence is taken for it`,
          { endpoint: key },
        );
      };
      return new ClassicClient(address, { ...options, dialect, found, expected, onLongBareReply }, observer);
    },
  };
}
