/** Whether this is a SHA-256 as the disk writes it. */
export function isHash(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text);
}
