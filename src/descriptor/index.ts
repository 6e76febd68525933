/**
 * `mprpc/descriptor`: what a .proto declares, as messages: `decodeMessage(FileDescriptorProto, userProto.descriptor)`. Custom
 * options are extensions of the options messages here: `fieldColor.get(field.options)`.
 */
export * from "./gen/google/protobuf/descriptor.js";
