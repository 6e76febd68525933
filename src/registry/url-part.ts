import { decodePart } from "../values/url-text.js";
import type { RegistryError } from "./errors.js";

/** `text` without its `%` escapes, or throws the error of `fail` for an invalid one. `what` names the part. */
export function decodedPart(text: string, what: string, fail: (text: string) => RegistryError): string {
  const decoded = decodePart(text);
  if (decoded === undefined) throw fail(`${what} has a "%" that is no escape; write it as %25`);
  return decoded;
}
