import {
  MethodDescriptorProto,
  ServiceDescriptorProto,
} from "../../descriptor/gen/google/protobuf/descriptor.js";
import { optionStatement } from "./parse-options.js";
import { userTypeName } from "./parse-types.js";
import type { Location, ParserBase } from "./parser-base.js";

/** Field numbers of ServiceDescriptorProto and MethodDescriptorProto. */
const inService = { name: 1, method: 2, options: 3 };
const inMethod = { name: 1, inputType: 2, outputType: 3, options: 4, clientStreaming: 5, serverStreaming: 6 };

export function serviceDefinition(p: ParserBase, location: Location): void {
  const service = ServiceDescriptorProto.create({});
  p.file.service.push(service);
  p.take("service");
  const name = p.open(location, inService.name);
  p.placesOf(service).name = p.token;
  service.name = p.identifier("the service's name");
  p.close(name);
  p.takeEnd("{", location);
  p.block(`service ${service.name}`, () => serviceStatement(p, service, location));
}

function serviceStatement(p: ParserBase, service: ServiceDescriptorProto, location: Location): void {
  if (p.tryTakeEnd(";")) return;
  if (p.at("option")) {
    const options = p.open(location, inService.options);
    optionStatement(p, service, options);
    p.close(options);
    return;
  }
  const inner = p.open(location, inService.method, service.method.length);
  method(p, service, inner);
  p.close(inner);
}

function method(p: ParserBase, service: ServiceDescriptorProto, location: Location): void {
  const found = MethodDescriptorProto.create({});
  const places = p.placesOf(found);
  service.method.push(found);
  p.take("rpc", '"rpc" or "option"');
  const name = p.open(location, inMethod.name);
  places.name = p.token;
  found.name = p.identifier("the method's name");
  p.close(name);
  p.take("(");
  if (p.at("stream")) {
    const stream = p.open(location, inMethod.clientStreaming);
    p.next();
    found.clientStreaming = true;
    p.close(stream);
  }
  const input = p.open(location, inMethod.inputType);
  places.input = p.token;
  found.inputType = userTypeName(p);
  p.close(input);
  p.take(")");
  p.take("returns");
  p.take("(");
  if (p.at("stream")) {
    const stream = p.open(location, inMethod.serverStreaming);
    p.next();
    found.serverStreaming = true;
    p.close(stream);
  }
  const output = p.open(location, inMethod.outputType);
  places.output = p.token;
  found.outputType = userTypeName(p);
  p.close(output);
  p.take(")");
  if (!p.tryTakeEnd("{", location)) {
    p.takeEnd(";", location);
    return;
  }
  // Braces without an option in them are options all the same, as in protoc's descriptors.
  p.options.set(found, []);
  p.block(`rpc ${found.name}`, () => {
    if (p.tryTakeEnd(";")) return;
    const options = p.open(location, inMethod.options);
    optionStatement(p, found, options);
    p.close(options);
  });
}
