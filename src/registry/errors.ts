import { textOf } from "../base/thrown.js";

/**
 * Why a registry refused. `invalid`: the URL or the registration can never work. `unreachable`: its server or folder
 * cannot be used (now). `denied`: no permission. `superseded`: a newer provider has the address. `closed`: the
 * registry was closed.
 */
export type RegistryErrorCode = "invalid" | "unreachable" | "denied" | "superseded" | "closed";

/** The one error the registry drivers throw; an aborted `signal` rejects with the signal's own reason instead. */
export class RegistryError extends Error {
  override readonly name = "RegistryError";
  readonly code: RegistryErrorCode;

  constructor(code: RegistryErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

/** The text of anything thrown, for a message that continues a sentence. */
export function reasonOf(thrown: unknown): string {
  return textOf(thrown);
}
