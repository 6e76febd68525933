import {
  CodeGeneratorRequest,
  CodeGeneratorResponse,
  CodeGeneratorResponse_Feature,
} from "../descriptor/gen/google/protobuf/compiler/plugin.js";
import { Edition } from "../descriptor/gen/google/protobuf/descriptor.js";
import { decodeMessage, encodeMessage } from "../protobuf/types.js";
import { filesOfRequest } from "./descriptor-set.js";
import { CodegenError } from "./error.js";
import { emit, type OutputOptions } from "./generate.js";
import { setOutputOption } from "./options.js";

/**
 * What `protoc-gen-mprpc` does: a serialized `CodeGeneratorRequest` in, a serialized `CodeGeneratorResponse` out. What is
 * wrong with the options or the files is in the response, as protoc's plugins do. Throws for bytes that are no request.
 */
export function runPlugin(request: Uint8Array): Buffer {
  const { fileToGenerate, parameter = "" } = decodeMessage(CodeGeneratorRequest, request);
  const features =
    CodeGeneratorResponse_Feature.FEATURE_PROTO3_OPTIONAL |
    CodeGeneratorResponse_Feature.FEATURE_SUPPORTS_EDITIONS;
  const supported = {
    supportedFeatures: features,
    minimumEdition: Edition.EDITION_PROTO2,
    maximumEdition: Edition.EDITION_2024,
  };
  try {
    const generated = emit(filesOfRequest(request), fileToGenerate, optionsOf(parameter));
    const file = generated.map(({ path, content }) => ({ name: path, content }));
    return encodeMessage(CodeGeneratorResponse, { ...supported, file });
  } catch (error) {
    if (!(error instanceof CodegenError || error instanceof TypeError)) throw error;
    return encodeMessage(CodeGeneratorResponse, { ...supported, error: error.message });
  }
}

/** `fields=keep,int64=number`, as protoc joins what `--mprpc_opt` was given. Throws `TypeError`. */
function optionsOf(parameter: string): OutputOptions {
  const options: OutputOptions = {};
  for (const part of parameter.split(",").filter((one) => one !== "")) {
    const [name = "", value = ""] = part.split("=", 2);
    const wrong = setOutputOption(options, name.trim().replaceAll("_", "-"), value.trim());
    if (wrong !== undefined) throw new TypeError(`protoc-gen-mprpc: ${wrong}`);
  }
  return options;
}
