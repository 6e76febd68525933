import { messages } from "../../error/messages.js";
import { describeFirstBytes } from "../describe-bytes.js";
import type { ServerProtocol } from "../protocol.js";

export type Detected<P> =
  | { readonly kind: "match"; readonly protocol: P; readonly variant: string | undefined }
  /** `recognised`: it is known which protocol it is, and this is missing. */
  | { readonly kind: "need-more"; readonly bytes: number; readonly recognised: string | undefined }
  | { readonly kind: "refused"; readonly reason: string };

/** Asks each protocol in turn what `received`, the first bytes of a connection, are. */
export function detect<P extends Pick<ServerProtocol, "detect">>(
  protocols: readonly P[],
  received: Buffer,
): Detected<P> {
  let bytes = Number.POSITIVE_INFINITY;
  for (const protocol of protocols) {
    const found = protocol.detect(received);
    if (found.kind === "match") return { kind: "match", protocol, variant: found.variant };
    if (found.kind === "no") continue;
    if (found.recognised !== undefined) {
      return { kind: "need-more", bytes: found.bytes, recognised: found.recognised };
    }
    bytes = Math.min(bytes, found.bytes);
  }
  if (bytes < Number.POSITIVE_INFINITY) return { kind: "need-more", bytes, recognised: undefined };
  const shown = describeFirstBytes(received);
  const hint = shown.endsWith("(TLS)") ? messages.portInClear : "";
  return { kind: "refused", reason: `first bytes ${shown} are no known protocol${hint}` };
}
