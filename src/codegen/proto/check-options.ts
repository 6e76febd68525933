import {
  Edition,
  type FieldOptions_FeatureSupport as Support,
  FieldOptions_OptionTargetType as Target,
} from "../../descriptor/gen/google/protobuf/descriptor.js";
import { type LinkedFile, OptionTree, type OptionValue } from "./option-tree.js";
import type { Reporter } from "./report.js";
import { enumsOf, extensionsOf, type FieldSymbol, messagesOf } from "./symbols.js";

/** Whether every option may stand where it stands, and in a file of this edition. */
export function checkOptions(file: LinkedFile, report: Reporter): void {
  const check = (node: object, target: Target): void => {
    const tree = file.optionTrees.get(node);
    const support = (node as WithSupport).options?.featureSupport;
    const wrong = support && supportProblem(support);
    if (wrong !== undefined) report.errorAtOption(node, "feature_support", `feature_support: ${wrong}`);
    for (const { field, values } of tree?.entries.values() ?? []) {
      const complain = (message: string): void => report.errorAtOption(node, field.name, message);
      checkOption(file, field, values, target, complain);
    }
  };
  check(file.node, Target.TARGET_TYPE_FILE);
  for (const { node, fields, oneofs } of messagesOf(file)) {
    check(node, Target.TARGET_TYPE_MESSAGE);
    for (const range of node.extensionRange) check(range, Target.TARGET_TYPE_EXTENSION_RANGE);
    for (const field of fields) check(field.node, Target.TARGET_TYPE_FIELD);
    for (const oneof of oneofs) check(oneof.node, Target.TARGET_TYPE_ONEOF);
  }
  for (const field of extensionsOf(file)) check(field.node, Target.TARGET_TYPE_FIELD);
  for (const { node, values } of enumsOf(file)) {
    check(node, Target.TARGET_TYPE_ENUM);
    for (const value of values) check(value.node, Target.TARGET_TYPE_ENUM_ENTRY);
  }
  for (const { node, methods } of file.services) {
    check(node, Target.TARGET_TYPE_SERVICE);
    for (const method of methods) check(method.node, Target.TARGET_TYPE_METHOD);
  }
}

const targetNames = new Map<Target, string>([
  [Target.TARGET_TYPE_FILE, "a file"],
  [Target.TARGET_TYPE_EXTENSION_RANGE, "an extension range"],
  [Target.TARGET_TYPE_MESSAGE, "a message"],
  [Target.TARGET_TYPE_FIELD, "a field"],
  [Target.TARGET_TYPE_ONEOF, "a oneof"],
  [Target.TARGET_TYPE_ENUM, "an enum"],
  [Target.TARGET_TYPE_ENUM_ENTRY, "an enum value"],
  [Target.TARGET_TYPE_SERVICE, "a service"],
  [Target.TARGET_TYPE_METHOD, "a method"],
]);

/** A field or an enum value; others have no such option. */
interface WithSupport {
  readonly options?: { readonly featureSupport?: Support | undefined } | undefined;
}

/** What is wrong with the editions that an option is said to be there for. */
function supportProblem({
  editionIntroduced: introduced,
  editionDeprecated: deprecated,
  editionRemoved: removed,
  deprecationWarning,
  removalError,
}: Support): string | undefined {
  // What was removed in the edition that brought it could never be set, so that nobody reads the error.
  if (removed !== undefined && removed !== introduced && removalError === undefined) {
    return "what is removed needs a removal_error";
  }
  if (removed === undefined && removalError !== undefined) return "a removal_error needs an edition_removed";
  if (deprecated !== undefined && deprecationWarning === undefined) {
    return "what is deprecated needs a deprecation_warning";
  }
  if (deprecated === undefined && deprecationWarning !== undefined) {
    return "a deprecation_warning needs an edition_deprecated";
  }
  if (introduced !== undefined && deprecated !== undefined && deprecated < introduced) {
    return "it is deprecated before it is introduced";
  }
  if (introduced !== undefined && removed !== undefined && removed < introduced) {
    return "it is removed before it is introduced";
  }
  if (deprecated !== undefined && removed !== undefined && deprecated >= removed) {
    return "it is removed before it is deprecated";
  }
  return undefined;
}

type Complain = (message: string) => void;

function checkOption(
  file: LinkedFile,
  field: FieldSymbol,
  values: readonly OptionValue[],
  target: Target,
  complain: Complain,
): void {
  const { targets = [], featureSupport } = field.node.options ?? {};
  if (targets.length > 0 && !targets.includes(target)) {
    complain(`option ${field.name} is not for ${targetNames.get(target)}`);
  }
  checkSupport(file, field.name, featureSupport, complain);
  for (const value of values) {
    if (value instanceof OptionTree) {
      for (const inner of value.entries.values())
        checkOption(file, inner.field, inner.values, target, complain);
    } else if (field.enum !== undefined) {
      // An unknown value is what an enum of features has for "not set".
      if (value === 0 && field.container?.fullName === "google.protobuf.FeatureSet") {
        complain(`option features.${field.name} needs a value that is known`);
      }
      const named = field.enum.valueByNumber.get(Number(value));
      checkSupport(file, named?.name ?? "", named?.node.options?.featureSupport, complain);
    }
  }
}

function checkSupport(
  { edition }: LinkedFile,
  name: string,
  support: Support | undefined,
  complain: Complain,
): void {
  if (support === undefined) return;
  const { editionIntroduced, editionRemoved, removalError } = support;
  if (editionIntroduced !== undefined && edition < editionIntroduced) {
    complain(`option ${name} came with edition ${editionName(editionIntroduced)}; the file is older`);
  } else if (editionRemoved !== undefined && edition >= editionRemoved) {
    complain(`option ${name} was removed with edition ${editionName(editionRemoved)}: ${removalError ?? ""}`);
  }
}

function editionName(edition: Edition): string {
  const name = Object.entries(Edition).find(([, value]) => value === edition)?.[0] ?? String(edition);
  return name.replace("EDITION_", "").toLowerCase();
}
