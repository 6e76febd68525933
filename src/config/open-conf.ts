import { openFileWarning } from "../log/secret-file.js";
import { hideCredentials } from "./config-error.js";
import type { Findings } from "./findings.js";
import type { KeyRow } from "./schema.js";

interface FromSource {
  readonly source: string;
  readonly value: unknown;
}

/** Warns, by the name of one of its keys, of a conf file that has secrets and that other users may read. */
export function warnOfOpenConf(
  file: string,
  rows: readonly KeyRow[],
  settings: ReadonlyMap<string, FromSource>,
  findings: Findings,
): void {
  const secret = rows.find((row) => {
    const setting = settings.get(row.name);
    if (setting?.source !== "file") return false;
    const text = row.kind.format(setting.value);
    // The name of another file is no secret.
    return (row.secret && !text.startsWith("file:")) || hideCredentials(text) !== text;
  });
  const warning = secret === undefined ? undefined : openFileWarning(secret.name, file);
  if (warning !== undefined) findings.warn(() => warning);
}
