// What protobuf's conformance runner talks to over stdin and stdout: `testee.ts dynamic|generated FOLDER`. `dynamic` is the way
// of calls in JSON, `generated` that of generated code and mprpc/json. FOLDER is what prepare.ts made.
import path from "node:path";
import { argv, stdin, stdout } from "node:process";
import { textOf } from "../../src/base/thrown.js";
import type { Codec } from "./codec.js";
import { dynamicCodec } from "./dynamic.js";
import { generatedCodec } from "./generated.js";

/** Of conformance.proto. */
interface Request {
  /** Which of the payloads is set. */
  readonly payload?: string;
  readonly protobuf_payload: Uint8Array;
  readonly json_payload: string;
  readonly requested_output_format: number;
  readonly message_type: string;
  readonly test_category: number;
}

const [protobufFormat, jsonFormat] = [1, 2];
const ignoreUnknownCategory = 3;

type Answer =
  | { readonly protobuf_payload: Uint8Array }
  | { readonly json_payload: string }
  | { readonly parse_error: string }
  | { readonly serialize_error: string }
  | { readonly skipped: string };

/** The same message in the form that is asked for. */
function answer(request: Request, codec: Codec): Answer {
  const { payload, requested_output_format, message_type } = request;
  const isOurs = requested_output_format === protobufFormat || requested_output_format === jsonFormat;
  if ((payload !== "protobuf_payload" && payload !== "json_payload") || !isOurs) {
    return { skipped: "not binary and not JSON" };
  }
  let message: unknown;
  try {
    message =
      payload === "protobuf_payload"
        ? codec.decode(message_type, request.protobuf_payload)
        : codec.fromJson(message_type, request.json_payload, request.test_category === ignoreUnknownCategory);
  } catch (error) {
    return { parse_error: textOf(error) };
  }
  try {
    return requested_output_format === protobufFormat
      ? { protobuf_payload: codec.encode(message_type, message) }
      : { json_payload: codec.toJson(message_type, message) };
  } catch (error) {
    return { serialize_error: textOf(error) };
  }
}

/** What comes over stdin, each behind its length in four bytes. */
async function* requests(): AsyncGenerator<Buffer> {
  let held = Buffer.alloc(0);
  for await (const chunk of stdin as AsyncIterable<Buffer>) {
    held = Buffer.concat([held, chunk]);
    while (held.length >= 4 && held.length >= 4 + held.readUInt32LE()) {
      const end = 4 + held.readUInt32LE();
      yield held.subarray(4, end);
      held = held.subarray(end);
    }
  }
}

const [, , way = "", folder = ""] = argv;
const protocol = dynamicCodec(path.join(folder, "descriptors"));
const codec = way === "dynamic" ? protocol : await generatedCodec(path.join(folder, "gen"));
for await (const body of requests()) {
  const request = protocol.decode("conformance.ConformanceRequest", body) as Request;
  const reply = protocol.encode("conformance.ConformanceResponse", answer(request, codec));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(reply.length);
  stdout.write(Buffer.concat([length, reply]));
}
