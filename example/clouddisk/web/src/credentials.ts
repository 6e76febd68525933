/** Of a new account, as the disk will check it: there is no need to ask for what it refuses. */
export function wrongIn(username: string, password: string): "username" | "password" | undefined {
  const normal = username.normalize("NFC");
  const bytes = new TextEncoder().encode(normal).length;
  // Three bytes, so that a Chinese name need not be longer than it is.
  if (!/^[\p{L}\p{M}\p{N}._-]*$/u.test(normal) || bytes < 3 || normal.length > 64) return "username";
  const { length } = [...password];
  return length < 5 || length > 128 ? "password" : undefined;
}

/** Without letters that are mistaken for others when they are read to somebody. */
const readable = "abcdefghijkmnpqrstuvwxyz23456789";

/** 16 letters and digits of 32 in groups of four: 80 random bits. */
export function madeUpPassword(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const letters = [...bytes].map((byte) => readable[byte % readable.length]).join("");
  return letters.replace(/.{4}(?=.)/g, "$&-");
}
