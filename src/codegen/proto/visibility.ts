import { Edition, SymbolVisibility } from "../../descriptor/gen/google/protobuf/descriptor.js";
import type { ParserBase } from "./parser-base.js";

/** Takes `export` or `local` in front of a message or an enum, which edition 2024 has brought. */
export function visibilityAhead(p: ParserBase): SymbolVisibility | undefined {
  if (p.edition < Edition.EDITION_2024 || !(p.at("export") || p.at("local"))) return undefined;
  const visibility = p.at("export") ? SymbolVisibility.VISIBILITY_EXPORT : SymbolVisibility.VISIBILITY_LOCAL;
  p.next();
  if (!p.at("message") && !p.at("enum")) p.fail(`expected message or enum, not ${p.shown}`);
  return visibility;
}
