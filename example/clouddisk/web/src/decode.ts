/**
 * The text of a file: by its byte order mark, as UTF-8, else as GB 18030, which every other Chinese text is in. `cut`: the
 * bytes may end within a character.
 */
export function decodeText(bytes: Uint8Array, cut: boolean): string {
  const [first, second] = bytes;
  if (first === 0xff && second === 0xfe) return new TextDecoder("utf-16le").decode(bytes);
  if (first === 0xfe && second === 0xff) return new TextDecoder("utf-16be").decode(bytes);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: cut });
  } catch {
    return new TextDecoder("gb18030").decode(bytes, { stream: cut });
  }
}
