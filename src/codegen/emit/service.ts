import type { ProtoMessage, ProtoMethod, ProtoService } from "../model.js";
import { propertyKey } from "../names.js";
import type { ModuleContext } from "./context.js";
import type { Text } from "./text.js";

/** The definition, the handler interface and the stub of a service. */
export function emitService(service: ProtoService, context: ModuleContext, text: Text): void {
  const name = context.names.types.get(service) as string;
  emitDefinition(service, name, context, text);
  emitHandler(service, context, text);
  emitStub(service, name, context, text);
}

function messagesOf(method: ProtoMethod): { input: ProtoMessage; output: ProtoMessage } {
  return { input: method.input as ProtoMessage, output: method.output as ProtoMessage };
}

function deprecation(declared: { readonly deprecated: boolean }): string | undefined {
  return declared.deprecated ? "@deprecated" : undefined;
}

function paragraph(comment: string | undefined): string | undefined {
  return comment === undefined ? undefined : `\n${comment}`;
}

function emitDefinition(service: ProtoService, name: string, context: ModuleContext, text: Text): void {
  text.comment([service.comment, deprecation(service)]);
  text.block(`export const ${name} = ${context.codec("defineService")}({`, "});", () => {
    text.line(`typeName: ${JSON.stringify(service.fullName)},`);
    if (service.methods.length === 0) text.line("methods: {},");
    else
      text.block("methods: {", "},", () => {
        for (const method of service.methods) {
          const { input, output } = messagesOf(method);
          const parts = [
            `name: ${JSON.stringify(method.name)}`,
            `input: ${context.type(input)}`,
            `output: ${context.type(output)}`,
          ];
          if (method.idempotency !== "unknown")
            parts.push(`idempotency: ${JSON.stringify(method.idempotency)}`);
          text.list(`${propertyKey(method.localName)}: {`, parts, "},", true);
        }
      });
    text.line(`file: ${context.names.descriptor},`);
  });
  text.line();
}

function emitHandler(service: ProtoService, context: ModuleContext, text: Text): void {
  text.comment([`What a provider of ${service.fullName} implements.`, paragraph(service.comment)]);
  const name = context.names.handlers.get(service) as string;
  if (service.methods.length === 0) text.line(`export type ${name} = Readonly<Record<string, never>>;`);
  else
    text.block(`export interface ${name} {`, "}", () => {
      for (const method of service.methods) {
        const { input, output } = messagesOf(method);
        const reply = context.input(output);
        text.comment([method.comment, deprecation(method)]);
        text.list(
          `${propertyKey(method.localName)}(`,
          [`request: ${context.typeOnly(input)}`, `context: ${context.codecType("CallContext")}`],
          `): Promise<${reply}> | ${reply};`,
        );
      }
    });
  text.line();
}

function emitStub(service: ProtoService, name: string, context: ModuleContext, text: Text): void {
  const channel = context.codecType("StubChannel");
  text.comment([`Calls ${service.fullName}.`, paragraph(service.comment)]);
  text.block(`export class ${context.names.stubs.get(service)} {`, "}", () => {
    if (service.methods.length === 0) {
      text.line(`constructor(_channel: ${channel}) {}`);
      return;
    }
    text.line(`readonly #channel: ${channel};`);
    text.line();
    text.block(`constructor(channel: ${channel}) {`, "}", () => text.line("this.#channel = channel;"));
    for (const method of service.methods) emitStubMethod(method, name, context, text);
  });
  text.line();
}

function emitStubMethod(method: ProtoMethod, service: string, context: ModuleContext, text: Text): void {
  const { input, output } = messagesOf(method);
  const open = `${propertyKey(method.localName)}(`;
  const request = `request: ${context.input(input)}`;
  const reply = context.typeOnly(output);
  const options = context.codecType("CallOptions");
  const controller = context.codecType("RpcController");
  text.line();
  text.comment([method.comment, deprecation(method)]);
  text.list(open, [request, `options?: ${options}`], `): Promise<${reply}>;`);
  text.list(
    open,
    [request, `controller: ${controller}`, `options?: ${options}`],
    `): Promise<${reply} | undefined>;`,
  );
  text.list(
    open,
    [request, `second?: ${options} | ${controller}`, `third?: ${options}`],
    `): Promise<${reply} | undefined> {`,
  );
  text.indented(() =>
    text.list(
      `return ${context.codec("invokeStub")}(`,
      ["this.#channel", `${service}.methods${memberOf(method.localName)}`, "request", "second", "third"],
      ");",
    ),
  );
  text.line("}");
}

function memberOf(name: string): string {
  const key = propertyKey(name);
  return key.startsWith("[") ? key : `.${key}`;
}
