// For users: serve and call.

export type {
  Authenticate,
  Authenticator,
  AuthenticatorWithKeys,
  TokenIdentity,
} from "./auth/authenticator.js";
export { PolicyError, type PolicyLine, type PolicyProblem, type PolicyRules } from "./auth/policy.js";
export { type Address, formatAddress } from "./base/address.js";
// For those who extend it: other registries, transports, loggers, tools.
export type { Clock, Timer } from "./base/clock.js";
export type { Unsubscribe } from "./base/emitter.js";
export { Metadata, type MetadataInit, type MetadataValue } from "./base/metadata.js";
export type { CallContext } from "./call/context.js";
export { ContextKey } from "./call/context-key.js";
export { RpcController } from "./call/controller.js";
export type { CallEmitter, CallEnd, CallEvents, ObservedAttempt, ObservedCall } from "./call/events.js";
export type {
  CallReply,
  ClientInterceptor,
  ClientNext,
  IncomingCall,
  OutgoingCall,
  ServerInterceptor,
  ServerNext,
} from "./call/interceptor.js";
export type { CallOptions } from "./call/options.js";
export { OutgoingStream } from "./call/outgoing-stream.js";
export type { Peer, PeerIdentities, ProtocolName } from "./call/peer.js";
export type { IncomingStream, MessageSource } from "./call/streams.js";
export type { HandlersOf, StubChannel } from "./call/stub.js";
export { RpcChannel } from "./client/channel.js";
export type { ChannelOptions } from "./client/channel-options.js";
export type { Credentials, Token } from "./client/credentials.js";
export { conf } from "./config/conf.js";
export type { LoadedConfig, Sections } from "./config/config.js";
export { ConfigError, type ConfigProblem } from "./config/config-error.js";
export type { Kind } from "./config/kinds.js";
export type { Key } from "./config/schema.js";
export type { BytesForm } from "./descriptor/json-mapping.js";
export type { JsonCallOptions, MethodDescription } from "./dynamic/json-calls.js";
export {
  type CallFacts,
  type CallPhase,
  type ErrorDetail,
  type Executed,
  RpcError,
  type RpcErrorOptions,
} from "./error/rpc-error.js";
export { Status, type StatusCode, type StatusName } from "./error/status.js";
export { type LogFields, type Logger, type LogLevel, silentLogger } from "./log/logger.js";
export type { LoggerLevel, LoggerOptions } from "./logger/options.js";
export { type BoundLogger, createLogger, type LoggerStats, type QueueLogger } from "./logger/queue-logger.js";
export { type ApplicationParts, MprpcApplication } from "./node/application.js";
export type { MethodDefinition, ServiceDefinition } from "./protobuf/types.js";
export type { JsonInput, JsonValue } from "./protobuf/well-known.js";
export { RegistryError, type RegistryErrorCode } from "./registry/errors.js";
export { type OpenRegistryOptions, openRegistry } from "./registry/open.js";
export type {
  Endpoint,
  Registrar,
  Registration,
  RegistrationHandle,
  Registry,
  Resolver,
  ServiceListing,
  Snapshot,
  Watch,
} from "./registry/registry.js";
export type { App } from "./runtime/app.js";
export type {
  BalancerName,
  ClassicChoice,
  ClassicUse,
} from "./runtime/runtime.js";
export { type ProviderOptions, RpcProvider } from "./server/provider.js";
export type { ServiceOptions } from "./server/registrations.js";
export {
  Health,
  type HealthCheckRequest,
  type HealthCheckResponse,
  ServingStatus,
} from "./services/builtin.js";
export type {
  Connection,
  ConnectionHandler,
  ConnectOptions,
  Listener,
  Transport,
} from "./transport/transport.js";
