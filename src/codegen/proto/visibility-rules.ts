import {
  FeatureSet_VisibilityFeature_DefaultSymbolVisibility as Default,
  SymbolVisibility,
} from "../../descriptor/gen/google/protobuf/descriptor.js";
import type { Reporter } from "./report.js";
import {
  type EnumSymbol,
  enumsOf,
  type FileScope,
  type MessageSymbol,
  messagesOf,
  type Symbol_,
} from "./symbols.js";

/** Whether a message or an enum may not be used in other files, and `user` is another file. */
export function isLocal(symbol: Symbol_, user: FileScope): boolean {
  if ((symbol.kind !== "message" && symbol.kind !== "enum") || symbol.file === user) return false;
  const { visibility } = symbol.node;
  if (visibility === SymbolVisibility.VISIBILITY_LOCAL) return true;
  if (visibility === SymbolVisibility.VISIBILITY_EXPORT) return false;
  switch (symbol.file.features.defaultSymbolVisibility) {
    case Default.LOCAL_ALL:
    case Default.STRICT:
      return true;
    case Default.EXPORT_TOP_LEVEL:
      return symbol.parent !== undefined;
    default:
      return false;
  }
}

/** Under the strict rule, what is within a message is for that message alone. */
export function checkVisibility(file: FileScope, report: Reporter): void {
  if (file.features.defaultSymbolVisibility !== Default.STRICT) return;
  const check = (symbol: MessageSymbol | EnumSymbol): void => {
    if (symbol.node.visibility !== SymbolVisibility.VISIBILITY_EXPORT || symbol.parent === undefined) return;
    if (symbol.kind === "enum" && isOnlyScope(symbol.parent)) return;
    report.error(
      symbol.node,
      "name",
      `${symbol.name}: only what stands at the top level can be exported while default_symbol_visibility is STRICT`,
    );
  };
  for (const message of messagesOf(file)) check(message);
  for (const type of enumsOf(file)) check(type);
}

/** A message that never has a field, only enums within it. */
function isOnlyScope({ node }: MessageSymbol): boolean {
  return node.reservedRange.some(({ start, end }) => start === 1 && end === 536_870_912);
}
