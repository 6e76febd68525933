import { randomBytes } from "node:crypto";
import { messages } from "../../error/messages.js";

/** Shorter keys could be guessed: anyone who records a handshake can try keys offline. */
export const secretMinBytes = 32;
const secretMaxBytes = 64;
const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

export function isSecretName(name: string): boolean {
  return namePattern.test(name);
}

/** Whether `text` can be the name of a file of secrets or tokens, and is not a line of one, which must not be shown. */
export function isSecretsFile(text: string): boolean {
  return text !== "" && !/^(?!file:)[\w.@-]{2,200}\s*:\s*[^\s\\]{16,}$/.test(text);
}

/** A line of a secrets file: `name:key`, the key of 32 random bytes in base64url. Throws `TypeError` for a wrong name. */
export function makeSecret(name: string): string {
  if (!isSecretName(name)) throw new TypeError(messages.secretNameWrong(JSON.stringify(name)));
  return `${name}:${randomBytes(secretMinBytes).toString("base64url")}`;
}

/** The keys of a secrets file by their names, in its order. Throws `Error` that names the line, and never the key. */
export function parseSecrets(text: string, file: string): ReadonlyMap<string, Buffer> {
  const secrets = new Map<string, Buffer>();
  text.split(/\r?\n/).forEach((line, at) => {
    const trimmed = line.trim();
    if (trimmed === "" || trimmed.startsWith("#")) return;
    const where = `${file}:${at + 1}`;
    const [, name = "", key = ""] = /^([^:\s]+)\s*:\s*(\S+)$/.exec(trimmed) ?? [];
    if (!isSecretName(name)) throw new Error(messages.secretLineWrong(where));
    const bytes = keyOf(key);
    // In a line the wrong way round the name is the key: it is not shown.
    if (bytes === undefined || bytes.length > secretMaxBytes) throw new Error(messages.secretKeyWrong(where));
    if (bytes.length < secretMinBytes) {
      throw new Error(messages.secretTooShort(where, bytes.length, secretMinBytes));
    }
    if (secrets.has(name)) throw new Error(messages.secretTwice(where, name));
    secrets.set(name, bytes);
  });
  if (secrets.size === 0) throw new Error(messages.secretsEmpty(file));
  return secrets;
}

/** 64 hex digits, or base64 in either alphabet. */
function keyOf(text: string): Buffer | undefined {
  if (/^(?:[0-9a-fA-F]{2}){32,64}$/.test(text)) return Buffer.from(text, "hex");
  return /^[A-Za-z0-9+/_-]+={0,2}$/.test(text) ? Buffer.from(text, "base64") : undefined;
}
