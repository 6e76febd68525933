import {
  type ExtensionRangeOptions_Declaration as Declaration,
  FieldDescriptorProto_Label as Label,
  type DescriptorProto_ExtensionRange as Range,
  ExtensionRangeOptions_VerificationState as Verification,
} from "../../descriptor/gen/google/protobuf/descriptor.js";
import { builtInTypes } from "./parse-types.js";
import type { Reporter } from "./report.js";
import { type FieldSymbol, type MessageSymbol, rangeOf } from "./symbols.js";

const fullName = /^\.[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$/;

/** The declarations of extensions that stand in a range's options. */
export function checkRangeDeclarations(message: MessageSymbol, report: Reporter): void {
  const names = new Set<string>();
  for (const range of message.ranges) {
    const numbers = new Set<number>();
    const declarations = range.options?.declaration ?? [];
    const unverified = report.optionOf(range, 3) === Verification.UNVERIFIED;
    if (unverified && declarations.length > 0) {
      report.error(range, "number", "a range with declarations cannot be UNVERIFIED");
    }
    for (const one of declarations) {
      const problem = declarationProblem(range, one, numbers, names);
      if (problem !== undefined) report.error(range, "number", `declaration of ${one.number}: ${problem}`);
    }
  }
}

function declarationProblem(
  { start = 0, end = 0 }: Range,
  { number, fullName: name, type, reserved }: Declaration,
  numbers: Set<number>,
  names: Set<string>,
): string | undefined {
  if (number === undefined || number < start || number >= end)
    return `the number is not in ${start} to ${end - 1}`;
  if (numbers.has(number)) return "it stands there twice";
  numbers.add(number);
  if (name === undefined || type === undefined) {
    return name === undefined && type === undefined && reserved === true
      ? undefined
      : "it needs both full_name and type";
  }
  if (names.has(name)) return `${name} is declared twice`;
  names.add(name);
  if (!fullName.test(name)) return `full_name ${name} is no full name with a leading dot`;
  if (!builtInTypes.has(type) && !fullName.test(type))
    return `type ${type} is neither built in nor a full name with a leading dot`;
  return undefined;
}

/** In a range with declarations every extension is one of them. */
export function checkExtensionDeclarations(field: FieldSymbol, report: Reporter): void {
  const { node, container, name } = field;
  const number = node.number ?? 0;
  const range = container && rangeOf(container, number);
  const options = range?.options;
  if (options === undefined || container === undefined) return;
  const declarations = options.declaration;
  if (declarations.length === 0) {
    if (options.verification === Verification.DECLARATION) {
      report.error(node, "number", `${name}: ${container.fullName} declares no extension ${number}`);
    }
    return;
  }
  const found = declarations.find((one) => one.number === number);
  const problem = found === undefined ? "declares no extension" : mismatch(field, found);
  if (problem !== undefined)
    report.error(node, "number", `${name}: ${container.fullName} ${problem} ${number}`);
}

function mismatch(field: FieldSymbol, declared: Declaration): string | undefined {
  const { node, fullName: name } = field;
  if (declared.reserved === true) return "has reserved extension";
  if (declared.fullName !== `.${name}`) return `declares ${declared.fullName} as extension`;
  const type = node.typeName ?? [...builtInTypes].find(([, one]) => one === node.type)?.[0];
  if (declared.type !== type) return `declares ${declared.type} as the type of extension`;
  const repeated = node.label === Label.LABEL_REPEATED;
  if ((declared.repeated === true) !== repeated) {
    return repeated ? "declares no repeated field as extension" : "declares a repeated field as extension";
  }
  return undefined;
}
