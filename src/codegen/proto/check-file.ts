import { Edition } from "../../descriptor/gen/google/protobuf/descriptor.js";
import { checkEnum } from "./check-enum.js";
import { checkExtensionDeclarations, checkRangeDeclarations } from "./check-extensions.js";
import { checkField } from "./check-field.js";
import { checkJsonNames } from "./check-json.js";
import { checkLimits } from "./check-limits.js";
import { checkOptions } from "./check-options.js";
import { checkNamingStyle } from "./check-style.js";
import type { LinkedFile } from "./option-tree.js";
import type { Reporter } from "./report.js";
import { enumsOf, extensionsOf, type FileScope, isLite, type MessageSymbol, messagesOf } from "./symbols.js";
import { checkVisibility } from "./visibility-rules.js";

/** Checks what depends on options and features. */
export function checkFile(file: LinkedFile, report: Reporter): void {
  checkFileOptions(file, report);
  for (const message of messagesOf(file)) {
    checkMessage(file, message, report);
    for (const field of message.fields) checkField(field, report);
  }
  for (const extension of extensionsOf(file)) {
    checkField(extension, report);
    checkExtensionDeclarations(extension, report);
  }
  for (const type of enumsOf(file)) checkEnum(type, report);
  checkOptions(file, report);
  checkLimits(file, report);
  checkNamingStyle(file, report);
  checkVisibility(file, report);
  for (const [i, one] of file.imports.entries()) {
    const at = file.parsed.imports[i];
    if (at !== undefined && at.kind !== "public" && !isUsed(file, one)) {
      report.warnAt(at.at, `import "${at.target}" is used by nothing`);
    }
  }
}

/** An import is of use for the files it imports publicly, too. */
function isUsed(file: FileScope, one: FileScope): boolean {
  const open = new Set([one]);
  // A Set is walked in the order of insertion, and what is added meanwhile is walked too.
  for (const next of open) {
    if (file.used.has(next)) return true;
    for (const [i, inner] of next.imports.entries()) {
      if (next.parsed.imports[i]?.kind === "public") open.add(inner);
    }
  }
  return false;
}

function checkFileOptions(file: LinkedFile, report: Reporter): void {
  const { edition, node, features, imports, parsed } = file;
  if (features.fieldPresence === 3) {
    report.errorAt(
      undefined,
      "features.field_presence = LEGACY_REQUIRED is for single fields, not for a file",
    );
  }
  if (edition >= Edition.EDITION_2023 && report.hasOption(node, 27)) {
    report.errorAtOption(
      node,
      "java_string_check_utf8",
      "editions have no option java_string_check_utf8: see features.(pb.java).utf8_validation",
    );
  }
  for (const [i, one] of imports.entries()) {
    const at = parsed.imports[i];
    if (!isLite(file) && isLite(one)) {
      report.errorAt(
        at?.at,
        `${one.name} has optimize_for = LITE_RUNTIME, so only files that have it too import it`,
      );
    }
    if (edition >= Edition.EDITION_2024 && at?.kind === "weak") {
      report.errorAt(at.at, "import weak is not there in edition 2024 and newer; see import option");
    }
  }
}

function checkMessage(file: LinkedFile, message: MessageSymbol, report: Reporter): void {
  const { node, fields, name } = message;
  const isMap = file.parsed.mapEntries.has(node);
  if (node.options?.mapEntry === true && !isMap) {
    report.error(node, "name", `${name}: map_entry is for protoc itself; write map<key, value>`);
  }
  if (node.options?.messageSetWireFormat === true) {
    if (file.edition === Edition.EDITION_PROTO3) {
      report.error(node, "name", `${name}: proto3 has no message sets`);
    }
    for (const field of fields) {
      report.error(field.node, "name", `${field.name}: a message set has extensions only, no fields`);
    }
  }
  if (file.edition === Edition.EDITION_PROTO3 && node.extensionRange.length > 0) {
    report.error(node.extensionRange[0] ?? node, "number", `${name}: proto3 has no extension ranges`);
  }
  if (!isMap) checkJsonNames(message, report);
  checkRangeDeclarations(message, report);
}
