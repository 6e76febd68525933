import type { LimitedLog } from "../../log/limited-log.js";
import type { ServerProtocol } from "../protocol.js";
import { type ClassicServerOptions, ClassicServerSession } from "./classic-server.js";
import { classicDialects, detectClassic } from "./classic-wire.js";

/** `closedBy`: the keys that keep classic callers out, which are then recognised only to be refused by name; none: they are served. */
export function classicServer(
  options: ClassicServerOptions,
  log: LimitedLog,
  closedBy: readonly string[],
): ServerProtocol {
  return {
    name: "classic",
    refusal: closedBy.length === 0 ? undefined : `classic callers are not served (${closedBy.join(", ")})`,
    tellsToLeave: false,
    alpn: [],
    detect: detectClassic,
    serve(connection, dispatcher, variant) {
      const dialect = classicDialects.find((one) => one === variant);
      if (dialect === undefined) throw new TypeError(`${variant} is no classic dialect`);
      return new ClassicServerSession(connection, dialect, dispatcher, options, log);
    },
    close: () => log.close(),
  };
}
