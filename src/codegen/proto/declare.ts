import { defaultFeatures } from "../../descriptor/features.js";
import type {
  DescriptorProto,
  EnumDescriptorProto,
  FieldDescriptorProto,
  ServiceDescriptorProto,
} from "../../descriptor/gen/google/protobuf/descriptor.js";
import { checkEnumNumbers, checkFieldShape, checkMessageNumbers } from "./check-numbers.js";
import type { Reporter } from "./report.js";
import {
  type EnumSymbol,
  type FieldSymbol,
  type FileScope,
  kindNames,
  type MessageSymbol,
  type OneofSymbol,
  type Pool,
  type ServiceSymbol,
  type Symbol_,
} from "./symbols.js";

/** Puts everything a file declares into the pool, and checks what can be checked without looking names up. */
export function declare(pool: Pool, file: FileScope, report: Reporter): void {
  new Declarer(pool, file, report).run();
}

/** As many as protoc takes, in characters but for the parts of a package; a full name has all its scopes. */
const nameMax = 65_535;
const fieldNameMax = 65_533;
const packageMax = 511;
const packagePartsMax = 101;

class Declarer {
  readonly #pool: Pool;
  readonly #file: FileScope;
  readonly #report: Reporter;
  readonly #features: FileScope["features"];

  constructor(pool: Pool, file: FileScope, report: Reporter) {
    this.#pool = pool;
    this.#file = file;
    this.#report = report;
    this.#features = defaultFeatures(file.edition);
  }

  run(): void {
    const { node } = this.#file;
    this.#package();
    for (const message of node.messageType) this.#file.messages.push(this.#message(message, undefined));
    for (const type of node.enumType) this.#file.enums.push(this.#enum(type, undefined));
    for (const service of node.service) this.#service(service);
    for (const field of node.extension) this.#file.extensions.push(this.#field(field, undefined, []));
  }

  #package(): void {
    const name = this.#file.package;
    if (name === "") return;
    const parts = name.split(".").length;
    if (parts > packagePartsMax || name.length > packageMax) {
      const limits = `${packagePartsMax} parts and ${packageMax} characters`;
      this.#report.error(this.#file.node, "name", `the package's name has at most ${limits}`);
      return;
    }
    for (let end = name.indexOf("."); ; end = name.indexOf(".", end + 1)) {
      const fullName = end < 0 ? name : name.slice(0, end);
      const before = this.#pool.symbols.get(fullName);
      if (before === undefined)
        this.#pool.symbols.set(fullName, { kind: "package", fullName, file: this.#file });
      else if (before.kind !== "package") {
        this.#report.error(
          this.#file.node,
          "name",
          `${fullName} cannot be a package: it is ${kindNames[before.kind]} of ${before.file.path}`,
        );
      }
      if (end < 0) return;
    }
  }

  #add(symbol: Exclude<Symbol_, { kind: "package" }>): void {
    if (symbol.fullName.length > (symbol.kind === "field" ? fieldNameMax : nameMax)) {
      this.#report.error(symbol.node, "name", `the name has more than ${nameMax} characters`);
      return;
    }
    const before = this.#pool.symbols.get(symbol.fullName);
    if (before === undefined) {
      this.#pool.symbols.set(symbol.fullName, symbol);
      return;
    }
    const { name, fullName, node } = symbol;
    const kind = kindNames[before.kind];
    if (before.file !== this.#file || before.kind === "package") {
      this.#report.error(node, "name", `${fullName} is already declared as ${kind} in ${before.file.path}`);
      return;
    }
    const line = (this.#report.placeOf(before.node)?.line ?? 0) + 1;
    const scope = symbol.kind === "value" ? `; enum values belong to what is around their enum` : "";
    this.#report.error(node, "name", `${name} is already declared as ${kind} in line ${line}${scope}`);
  }

  #fullName(name: string, parent: { fullName: string } | undefined): string {
    const scope = parent?.fullName ?? this.#file.package;
    return scope === "" ? name : `${scope}.${name}`;
  }

  #message(node: DescriptorProto, parent: MessageSymbol | undefined): MessageSymbol {
    const name = node.name ?? "";
    const symbol: MessageSymbol = {
      kind: "message",
      name,
      fullName: this.#fullName(name, parent),
      file: this.#file,
      node,
      parent,
      fields: [],
      extensions: [],
      messages: [],
      enums: [],
      oneofs: [],
      fieldByName: new Map(),
      ranges: node.extensionRange,
      features: this.#features,
    };
    this.#add(symbol);
    for (const oneof of node.oneofDecl) {
      const oneofName = oneof.name ?? "";
      const found: OneofSymbol = {
        kind: "oneof",
        name: oneofName,
        fullName: this.#fullName(oneofName, symbol),
        file: this.#file,
        node: oneof,
        parent: symbol,
        fields: [],
        features: this.#features,
      };
      symbol.oneofs.push(found);
    }
    for (const field of node.field) {
      const found = this.#field(field, symbol, symbol.oneofs);
      symbol.fields.push(found);
      if (!symbol.fieldByName.has(found.name)) symbol.fieldByName.set(found.name, found);
      found.oneof?.fields.push(found);
    }
    for (const oneof of symbol.oneofs) {
      this.#add(oneof);
      if (oneof.fields.length === 0)
        this.#report.error(oneof.node, "name", `oneof ${oneof.name} has no fields`);
    }
    for (const inner of node.nestedType) symbol.messages.push(this.#message(inner, symbol));
    for (const inner of node.enumType) symbol.enums.push(this.#enum(inner, symbol));
    for (const field of node.extension) symbol.extensions.push(this.#field(field, symbol, []));
    checkMessageNumbers(symbol, this.#report);
    return symbol;
  }

  #field(
    node: FieldDescriptorProto,
    parent: MessageSymbol | undefined,
    oneofs: readonly OneofSymbol[],
  ): FieldSymbol {
    const extension = node.extendee !== undefined;
    const symbol: FieldSymbol = {
      kind: "field",
      name: node.name ?? "",
      fullName: this.#fullName(node.name ?? "", parent),
      file: this.#file,
      node,
      parent,
      extension,
      container: extension ? undefined : parent,
      oneof: node.oneofIndex === undefined ? undefined : oneofs[node.oneofIndex],
      message: undefined,
      enum: undefined,
      features: this.#features,
    };
    this.#add(symbol);
    checkFieldShape(symbol, this.#report);
    return symbol;
  }

  #enum(node: EnumDescriptorProto, parent: MessageSymbol | undefined): EnumSymbol {
    const name = node.name ?? "";
    const fullName = this.#fullName(name, parent);
    const symbol: EnumSymbol = {
      kind: "enum",
      name,
      fullName,
      file: this.#file,
      node,
      parent,
      values: [],
      valueByName: new Map(),
      valueByNumber: new Map(),
      features: this.#features,
    };
    this.#add(symbol);
    for (const value of node.value) {
      const valueName = value.name ?? "";
      const found = {
        kind: "value" as const,
        name: valueName,
        fullName: this.#fullName(valueName, parent),
        file: this.#file,
        node: value,
        enum: symbol,
      };
      symbol.values.push(found);
      symbol.valueByName.set(valueName, found);
      const number = value.number ?? 0;
      if (!symbol.valueByNumber.has(number)) symbol.valueByNumber.set(number, found);
      this.#add(found);
    }
    checkEnumNumbers(symbol, this.#report);
    return symbol;
  }

  #service(node: ServiceDescriptorProto): void {
    const name = node.name ?? "";
    const fullName = this.#fullName(name, undefined);
    const symbol: ServiceSymbol = { kind: "service", name, fullName, file: this.#file, node, methods: [] };
    this.#file.services.push(symbol);
    this.#add(symbol);
    for (const method of node.method) {
      const methodName = method.name ?? "";
      const found = {
        kind: "method" as const,
        name: methodName,
        fullName: `${fullName}.${methodName}`,
        file: this.#file,
        node: method,
        service: symbol,
      };
      symbol.methods.push(found);
      this.#add(found);
    }
  }
}
