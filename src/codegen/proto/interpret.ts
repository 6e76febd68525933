import {
  EnumOptions,
  EnumValueOptions,
  ExtensionRangeOptions,
  FieldOptions,
  FileOptions,
  MessageOptions,
  MethodOptions,
  OneofOptions,
  FieldOptions_OptionRetention as Retention,
  ServiceOptions,
} from "../../descriptor/gen/google/protobuf/descriptor.js";
import { decodeMessage, type MessageType } from "../../protobuf/types.js";
import { type LinkedFile, OptionTree } from "./option-tree.js";
import { OptionInterpreter } from "./options.js";
import type { Reporter } from "./report.js";
import { enumsOf, type FieldSymbol, type MessageSymbol, messagesOf, type Pool } from "./symbols.js";

/** Interprets every option of a file: into its descriptor, and into the trees that its bytes are made from. */
export function interpretOptions(
  pool: Pool,
  file: LinkedFile,
  report: Reporter,
  types: ReadonlyMap<string, MessageSymbol>,
): void {
  const interpreter = new OptionInterpreter(pool, file, report, types);
  const set = <Options>(
    node: { options: Options | undefined },
    type: MessageType<Options>,
    user: string,
    extra?: (tree: OptionTree) => void,
  ): void => {
    let tree = interpreter.interpret(node, type.typeName, user);
    if (extra !== undefined) {
      tree ??= new OptionTree();
      extra(tree);
    }
    if (tree === undefined) return;
    file.optionTrees.set(node, tree);
    const bytes = tree.encode();
    node.options = decodeMessage(type, bytes);
    const whole = tree;
    // When it is asked for: descriptor.proto's own options, which say what is for the compiler alone, are not known before.
    file.runtimeOptions.set(node, () => {
      const kept = whole.encode(
        ({ node: option }) => option.options?.retention !== Retention.RETENTION_SOURCE,
      );
      if (kept.length === bytes.length) return node.options;
      return kept.length === 0 ? undefined : decodeMessage(type, kept);
    });
  };
  const field = ({ node, fullName }: FieldSymbol): void => set(node, FieldOptions, fullName);
  set(file.node, FileOptions, file.package === "" ? "file" : `${file.package}.file`);
  for (const message of messagesOf(file)) {
    const { node, fullName } = message;
    const mapEntry = types.get("google.protobuf.MessageOptions")?.fieldByName.get("map_entry");
    const isMap = file.parsed.mapEntries.has(node) && mapEntry !== undefined;
    set(node, MessageOptions, fullName, isMap ? (tree) => tree.add(mapEntry, true) : undefined);
    for (const one of message.fields) field(one);
    for (const one of message.extensions) field(one);
    for (const one of message.oneofs) set(one.node, OneofOptions, one.fullName);
    for (const range of node.extensionRange) set(range, ExtensionRangeOptions, fullName);
  }
  for (const one of file.extensions) field(one);
  for (const { node, fullName, values } of enumsOf(file)) {
    set(node, EnumOptions, fullName);
    for (const value of values) set(value.node, EnumValueOptions, value.fullName);
  }
  for (const { node, fullName, methods } of file.services) {
    set(node, ServiceOptions, fullName);
    for (const method of methods) set(method.node, MethodOptions, method.fullName);
  }
}
