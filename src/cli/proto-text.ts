/** protobufjs JSON descriptors as text in the form of a .proto file, for people. */

interface FieldJson {
  readonly type: string;
  readonly id: number;
  readonly rule?: string;
  readonly keyType?: string;
  /** As the .proto spells it, where that is not the key. */
  readonly protoName?: string;
  readonly options?: Readonly<Record<string, unknown>>;
}

interface MethodJson {
  readonly requestType: string;
  readonly responseType: string;
}

interface ObjectJson {
  readonly fields?: Readonly<Record<string, FieldJson>>;
  readonly values?: Readonly<Record<string, number>>;
  readonly methods?: Readonly<Record<string, MethodJson>>;
  readonly oneofs?: Readonly<Record<string, { readonly oneof: readonly string[] }>>;
  readonly nested?: Readonly<Record<string, ObjectJson>>;
}

/** Everything that is declared, by its full name. */
export class ProtoText {
  readonly #objects = new Map<string, ObjectJson>();

  /** Throws `TypeError` or `SyntaxError` for what is no descriptor. */
  constructor(descriptors: readonly string[]) {
    const walk = (object: ObjectJson, scope: string): void => {
      for (const [name, inner] of Object.entries(object.nested ?? {})) {
        const full = scope === "" ? name : `${scope}.${name}`;
        if (!this.#objects.has(full) || inner.nested === undefined) this.#objects.set(full, inner);
        walk(inner, full);
      }
    };
    for (const text of descriptors) walk(JSON.parse(text) as ObjectJson, "");
  }

  /** A service, of all its methods or the one, and the messages and enums behind it; undefined when there is none. */
  ofService(name: string, only?: string): string | undefined {
    const service = this.#objects.get(name);
    if (service?.methods === undefined) return undefined;
    const methods = Object.entries(service.methods).filter(
      ([method]) => only === undefined || method === only,
    );
    const rpcs = methods.map(
      ([method, { requestType, responseType }]) =>
        `  rpc ${method}(${bare(requestType)}) returns (${bare(responseType)});\n`,
    );
    const parts = [`service ${name} {\n${rpcs.join("")}}\n`];
    const seen = new Set<string>();
    const queue = methods.flatMap(([, { requestType, responseType }]) => [
      bare(requestType),
      bare(responseType),
    ]);
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const object = this.#objects.get(next);
      // Google's own types are known.
      if (seen.has(next) || object === undefined || next.startsWith("google.protobuf.")) continue;
      seen.add(next);
      parts.push(object.values === undefined ? messageText(next, object) : enumText(next, object.values));
      queue.push(...Object.values(object.fields ?? {}).map(({ type }) => bare(type)));
    }
    return parts.join("\n");
  }
}

function bare(type: string): string {
  return type.replace(/^\./, "");
}

function messageText(name: string, { fields = {}, oneofs = {} }: ObjectJson): string {
  const lines: string[] = [];
  const written = new Set<string>();
  for (const [key, field] of Object.entries(fields)) {
    if (written.has(key)) continue;
    const oneof = Object.entries(oneofs).find(([, { oneof: members }]) => members.includes(key));
    if (oneof === undefined || field.options?.proto3_optional === true) {
      lines.push(`  ${fieldText(key, field)}`);
      continue;
    }
    const members = oneof[1].oneof.filter((member) => Object.hasOwn(fields, member));
    for (const member of members) written.add(member);
    const inner = members.map((member) => `    ${fieldText(member, fields[member] as FieldJson)}`);
    lines.push(`  oneof ${oneof[0]} {`, ...inner, "  }");
  }
  return lines.length === 0 ? `message ${name} {}\n` : `message ${name} {\n${lines.join("\n")}\n}\n`;
}

function fieldText(key: string, { type, id, rule, keyType, protoName, options }: FieldJson): string {
  const optional = options?.proto3_optional === true ? "optional" : rule;
  const whole = keyType === undefined ? bare(type) : `map<${keyType}, ${bare(type)}>`;
  return `${optional === undefined ? "" : `${optional} `}${whole} ${protoName ?? key} = ${id};`;
}

function enumText(name: string, values: Readonly<Record<string, number>>): string {
  const lines = Object.entries(values).map(([key, value]) => `  ${key} = ${value};\n`);
  return `enum ${name} {\n${lines.join("")}}\n`;
}
