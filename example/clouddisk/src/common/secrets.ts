import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { serviceNames } from "./part.js";

/** Of each service; what TLS takes as a pre-shared key. */
const keyBytes = 32;

/** The file of the services' secrets in a data folder: lines of `name:key`, for `[auth] secrets`. */
export function secretsFile(dataFolder: string): string {
  return path.join(dataFolder, "secrets");
}

/** Makes one secret for each service at the first start, for this user alone. False: they were there. */
export function makeSecrets(dataFolder: string): boolean {
  const lines = serviceNames.map((name) => `${name}:${randomBytes(keyBytes).toString("base64url")}\n`);
  try {
    writeFileSync(secretsFile(dataFolder), lines.join(""), { flag: "wx", mode: 0o600 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}
