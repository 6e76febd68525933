import {
  Edition,
  type FeatureSet,
  FeatureSet_ProtoLimitsFeature_EnforceProtoLimits as Limits,
} from "../../descriptor/gen/google/protobuf/descriptor.js";
import type { Reporter } from "./report.js";
import {
  type EnumSymbol,
  enumsOf,
  type FileScope,
  type MessageSymbol,
  messagesOf,
  type OneofSymbol,
} from "./symbols.js";

/** What edition 2026 allows. */
const fieldsMax = 1500;
const oneofFieldsMax = 1200;
const oneofsMax = 1200;
const valuesMax = 1700;

/** The limits that edition 2026 sets, where they are not turned off. */
export function checkLimits(file: FileScope, report: Reporter): void {
  const check = (symbol: Limited, what: string, count: number, max: number): void => {
    if (count <= max || !isLimited(file, symbol)) return;
    report.error(
      symbol.node,
      "name",
      `${symbol.name} has ${count} ${what}, ${max} at most; features.enforce_proto_limits = LEGACY_NO_EXPLICIT_LIMITS allows more`,
    );
  };
  for (const message of messagesOf(file)) {
    check(message, "fields", message.fields.length, fieldsMax);
    check(message, "oneofs", message.oneofs.length, oneofsMax);
    for (const oneof of message.oneofs) check(oneof, "fields", oneof.fields.length, oneofFieldsMax);
  }
  for (const type of enumsOf(file)) check(type, "values", type.values.length, valuesMax);
}

type Limited = MessageSymbol | OneofSymbol | EnumSymbol;

/** What the declaration itself says, or the message around it, or the edition. */
function isLimited({ edition }: FileScope, symbol: Limited): boolean {
  for (let at: Limited | undefined = symbol; at !== undefined; at = at.parent) {
    const features: FeatureSet | undefined = at.node.options?.features;
    const own = features?.enforceProtoLimits;
    if (own !== undefined) return own === Limits.PROTO_LIMITS2026;
  }
  return edition >= Edition.EDITION_2026;
}
