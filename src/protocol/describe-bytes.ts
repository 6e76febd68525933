const hexBytes = 16;
/** How much of the first bytes a message shows as text. */
export const firstBytesShown = 40;

/** The first bytes of a peer that speaks something else, for a message: hex, text, and the protocol when it is known. */
export function describeFirstBytes(bytes: Buffer): string {
  const text = bytes.toString("latin1", 0, firstBytesShown);
  const shown = text.replace(/[^ -~]/g, ".");
  const protocol = protocolOf(bytes, text);
  return `${bytes.toString("hex", 0, hexBytes)} "${shown}"${protocol === undefined ? "" : ` (${protocol})`}`;
}

function protocolOf(bytes: Buffer, text: string): string | undefined {
  const [type = 0, major] = bytes;
  // A TLS record: its type, then the version, whose major number has always been 3.
  if (type >= 0x14 && type <= 0x17 && major === 3) return "TLS";
  if (/^(?:HTTP|GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH|CONNECT|TRACE|PRI)(?:[ /]|$)/.test(text))
    return "HTTP";
  return text.startsWith("SSH-") ? "SSH" : undefined;
}
