import {
  FeatureSet_VisibilityFeature_DefaultSymbolVisibility as Default,
  SymbolVisibility,
} from "../../descriptor/gen/google/protobuf/descriptor.js";
import type { FileScope, Symbol_ } from "./symbols.js";

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
