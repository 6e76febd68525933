import type { LimitedLog } from "../../log/limited-log.js";
import type { ServerProtocol } from "../protocol.js";
import { type ClassicServerOptions, ClassicServerSession } from "./classic-server.js";
import { classicDialects, detectClassic } from "./classic-wire.js";

/** `served`: false recognises classic callers only to refuse them by name. */
export function classicServer(
  options: ClassicServerOptions,
  log: LimitedLog,
  served: boolean,
): ServerProtocol {
  return {
    name: "classic",
    refusal: served ? undefined : "classic callers are not served (provider.classic)",
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
