import { randomBytes } from "node:crypto";
import { hash, type Options, verify } from "@node-rs/argon2";
import { Code, Refusal } from "../common/codes.js";
import { Gate } from "./gate.js";

export const passwordMinLength = 5;
export const passwordMaxLength = 128;

/** argon2id with 19 MiB and two passes, as OWASP has it; the library's own default algorithm is argon2id. */
const cost: Options = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };

export function checkPassword(password: string): void {
  const { length } = [...password];
  if (length < passwordMinLength || length > passwordMaxLength) {
    throw new Refusal(
      Code.PARAMETER,
      `the password must have ${passwordMinLength} to ${passwordMaxLength} characters`,
    );
  }
}

/** Hashes passwords, two at a time: each takes 19 MiB, so that memory stays flat however many sign in at once. */
export class Passwords {
  readonly #gate = new Gate({ runningMax: 2, waitingMax: 128 });
  #nobody: Promise<string> | undefined;

  hash(password: string): Promise<string> {
    return this.#gate.run(() => hash(password.normalize("NFC"), cost));
  }

  /** Takes as long for a user who does not exist (undefined), so that time does not tell who does. */
  async verify(passwordHash: string | undefined, password: string): Promise<boolean> {
    this.#nobody ??= this.hash(randomBytes(16).toString("hex")).catch((error: unknown) => {
      this.#nobody = undefined;
      throw error;
    });
    const known = passwordHash ?? (await this.#nobody);
    const right = await this.#gate.run(() => verify(known, password.normalize("NFC")));
    return right && passwordHash !== undefined;
  }
}
