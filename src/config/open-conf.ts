import { openFileWarning, writableFileWarning } from "../log/secret-file.js";
import { hideCredentials } from "./config-error.js";
import type { Findings } from "./findings.js";
import type { KeyRow } from "./schema.js";

interface FromSource {
  readonly source: string;
  readonly value: unknown;
}

/**
 * Warns, by the name of one of its keys, of a conf file that has secrets and that other users may read, or that says who may do what and that
 * every user may write. Of one with rules in it the provider that reads them warns, again when it becomes so.
 */
export function warnOfOpenConf(
  file: string,
  rows: readonly KeyRow[],
  settings: ReadonlyMap<string, FromSource>,
  hasRules: boolean,
  findings: Findings,
): void {
  const inFile = rows.filter((row) => settings.get(row.name)?.source === "file");
  const secret = inFile.find((row) => {
    const text = row.kind.format(settings.get(row.name)?.value);
    // The name of another file is no secret.
    return (row.secret && !text.startsWith("file:")) || hideCredentials(text) !== text;
  });
  const guard = inFile.find(({ section }) => section === "auth" || section === "tls");
  let warning = secret === undefined ? undefined : openFileWarning(secret.name, file);
  if (guard !== undefined && !hasRules) warning ??= writableFileWarning(guard.name, file);
  if (warning !== undefined) findings.warn(() => warning);
}
