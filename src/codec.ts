/** What generated code imports: nothing here opens a socket or reads a file. */

export type { CallContext } from "./call/context.js";
export { RpcController } from "./call/controller.js";
export type { CallOptions } from "./call/options.js";
export type { IncomingStream, MessageSource } from "./call/streams.js";
export { type HandlersOf, invokeStreamStub, invokeStub, type StubChannel } from "./call/stub.js";
export * from "./protobuf/runtime.js";
