import type { Reporter } from "./report.js";
import type { FileScope } from "./symbols.js";

/** Checks what depends on options and features. */
export function checkFile(_file: FileScope, _report: Reporter): void {}
