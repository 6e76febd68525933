import type { MethodModel, ServiceModel } from "../model.js";
import { propertyKey } from "../names.js";
import type { ModuleContext } from "./context.js";
import type { Text } from "./text.js";

/** The definition, the handler interface and the stub of a service. */
export function emitService(service: ServiceModel, context: ModuleContext, text: Text): void {
  const name = context.names.types.get(service) as string;
  emitDefinition(service, name, context, text);
  emitHandler(service, context, text);
  emitStub(service, name, context, text);
}

function deprecation(declared: { readonly deprecated: boolean }): string | undefined {
  return declared.deprecated ? "@deprecated" : undefined;
}

function paragraph(comment: string | undefined): string | undefined {
  return comment === undefined ? undefined : `\n${comment}`;
}

function emitDefinition(service: ServiceModel, name: string, context: ModuleContext, text: Text): void {
  text.comment([service.comment, deprecation(service)]);
  text.block(`export const ${name} = ${context.codec("defineService")}({`, "});", () => {
    text.line(`typeName: ${JSON.stringify(service.fullName)},`);
    text.line(`file: ${context.names.file},`);
    if (service.methods.length === 0) {
      text.line("methods: {},");
      return;
    }
    text.block("methods: {", "},", () => {
      for (const method of service.methods) {
        const parts = [`name: ${JSON.stringify(method.name)}`];
        if (method.kind !== "unary") parts.push(`kind: ${JSON.stringify(method.kind)}`);
        parts.push(`input: ${context.type(method.input)}`, `output: ${context.type(method.output)}`);
        if (method.idempotency !== "unknown")
          parts.push(`idempotency: ${JSON.stringify(method.idempotency)}`);
        text.list(`${propertyKey(method.localName)}: {`, parts, "},", true);
      }
    });
  });
  text.line();
}

/** Which sides send many messages. */
function streams({ kind }: MethodModel): { requests: boolean; replies: boolean } {
  return {
    requests: kind === "client_streaming" || kind === "bidi_streaming",
    replies: kind === "server_streaming" || kind === "bidi_streaming",
  };
}

function emitHandler(service: ServiceModel, context: ModuleContext, text: Text): void {
  text.comment([`What a provider of ${service.fullName} implements.`, paragraph(service.comment)]);
  const name = context.names.handlers.get(service) as string;
  if (service.methods.length === 0) text.line(`export type ${name} = Readonly<Record<string, never>>;`);
  else
    text.block(`export interface ${name} {`, "}", () => {
      for (const method of service.methods) {
        const { requests, replies } = streams(method);
        const given = context.typeOnly(method.input);
        const reply = context.input(method.output);
        text.comment([method.comment, deprecation(method)]);
        text.list(
          `${propertyKey(method.localName)}(`,
          [
            requests ? `requests: AsyncIterable<${given}>` : `request: ${given}`,
            `context: ${context.codecType("CallContext")}`,
          ],
          replies
            ? `): ${context.codecType("MessageSource")}<${reply}>;`
            : `): Promise<${reply}> | ${reply};`,
        );
      }
    });
  text.line();
}

function emitStub(service: ServiceModel, name: string, context: ModuleContext, text: Text): void {
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

function emitStubMethod(method: MethodModel, service: string, context: ModuleContext, text: Text): void {
  const { requests, replies } = streams(method);
  const open = `${propertyKey(method.localName)}(`;
  const input = context.input(method.input);
  const request = requests
    ? `requests: ${context.codecType("MessageSource")}<${input}>`
    : `request: ${input}`;
  const reply = context.typeOnly(method.output);
  const result = replies ? `${context.codecType("IncomingStream")}<${reply}>` : `Promise<${reply}>`;
  // With a controller a failed call gives no error, and so no reply either.
  const maybe = replies ? result : `Promise<${reply} | undefined>`;
  const options = context.codecType("CallOptions");
  const controller = context.codecType("RpcController");
  text.line();
  text.comment([method.comment, deprecation(method)]);
  text.list(open, [request, `options?: ${options}`], `): ${result};`);
  text.list(open, [request, `controller: ${controller}`, `options?: ${options}`], `): ${maybe};`);
  text.list(open, [request, `second?: ${options} | ${controller}`, `third?: ${options}`], `): ${maybe} {`);
  const given = requests ? "requests" : "request";
  text.indented(() =>
    text.list(
      `return ${context.codec(replies ? "invokeStreamStub" : "invokeStub")}(`,
      ["this.#channel", `${service}.methods${memberOf(method.localName)}`, given, "second", "third"],
      ");",
    ),
  );
  text.line("}");
}

function memberOf(name: string): string {
  const key = propertyKey(name);
  return key.startsWith("[") ? key : `.${key}`;
}
