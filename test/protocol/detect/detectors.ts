import { type ClassicDialect, detectClassic } from "../../../src/protocol/classic/classic-wire.js";
import { detect } from "../../../src/protocol/detect/detect.js";
import { detectMprpc } from "../../../src/protocol/mprpc/server-protocol.js";

/** In the order of a provider's. */
const detectors = [
  { name: "mprpc", detect: detectMprpc },
  { name: "classic", detect: detectClassic },
];

type Told =
  | { kind: "mprpc" }
  | { kind: "classic"; dialect: ClassicDialect }
  | { kind: "need-more"; bytes: number }
  | { kind: "refused"; reason: string };

/** What a provider of both protocols takes the first bytes of a connection for. */
export function detectProtocol(bytes: Buffer): Told {
  const found = detect(detectors, bytes);
  if (found.kind === "refused") return found;
  if (found.kind === "need-more") return found.recognised === undefined ? found : { kind: "mprpc" };
  if (found.protocol.name === "mprpc") return { kind: "mprpc" };
  return { kind: "classic", dialect: found.variant as ClassicDialect };
}
