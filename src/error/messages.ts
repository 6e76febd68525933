/**
 * Every text a call can fail with, and the texts of other errors that docs/errors.md lists: in one place, so that two places
 * that mean the same say the same, and a test can hold the document against them. A text is made when its error is, never
 * before. `reason`, `cause` and `text` are texts of others; a `hint` begins with its own separator, or is empty.
 */
export const messages = {
  // --- a call that was given wrongly: nothing was sent ---
  callCannotBeMade: (reason: string) => `the call cannot be made: ${reason}`,
  notAMethod: (found: string, hint: string) =>
    `expected a method of a generated service (UserServiceRpc.methods.login), got ${found}${hint}`,
  callJsonTakesNames: "; callJson takes names",
  streamOfClassic: (method: string, kind: string) =>
    `${method} is ${kind}, and only classic providers are there, which have no streams`,
  wrongWayToCall: (method: string, kind: string, way: string) => `${method} is ${kind}: call it with ${way}`,
  sourceForOneRequest: (method: string, kind: string) =>
    `${method} is ${kind}, which takes one request: expected a JSON value, got a stream of them`,
  notASource: (found: string) => `expected an iterable or async iterable of messages, got ${found}`,
  idleTimeoutNotMilliseconds: (found: string) =>
    `idleTimeoutMs: expected milliseconds > 0, or Infinity for none, got ${found}`,
  idleTimeoutOfUnary: (method: string) =>
    `idleTimeoutMs: ${method} is unary, which is never idle: use timeoutMs`,
  notCallOptions: (found: string) => `expected an object of call options, or an RpcController, got ${found}`,
  unknownCallOption: (name: string, hint: string) => `unknown call option ${name}${hint}`,
  timeoutNotMilliseconds: (found: string) =>
    `timeoutMs: expected milliseconds, or Infinity for no deadline, got ${found}`,
  signalNotAbortSignal: (found: string) => `signal: expected an AbortSignal, got ${found}`,
  onMetadataNotFunction: (found: string) => `onMetadata: expected a function, got ${found}`,
  waitForReadyNotBoolean: (found: string) => `waitForReady: expected true or false, got ${found}`,
  idempotencyKeyNotText: (found: string) => `idempotencyKey: expected text, got ${found}`,
  interceptorThrew: (reason: string) => `a client interceptor threw: ${reason}`,
  interceptorGave: (interceptor: string, got: string) => `${interceptor} gave ${got} as the reply`,
  interceptorReturned: (interceptor: string, got: string) =>
    `${interceptor} must return a promise of the reply, got ${got}`,
  interceptorReplyMisshapen:
    "an interceptor must give the reply of next(call), or { message, metadata, trailers } of its own",
  interceptorChangedCall: "a client interceptor must pass on the call it was given, changed in place",
  stubWithoutChannel: (service: string, found: string) =>
    `a stub of ${service} was made without a channel (new RpcChannel(app)), but with ${found}`,
  controllerBusy: "this RpcController serves a call already: use one controller a call",
  controllerResetInFlight: "RpcController.reset() while its call is in flight: cancel or await it first",

  // --- the caller or the provider stops ---
  channelClosed: "the channel was closed",
  applicationClosed: "the application was closed",
  providerShuttingDown: "the provider is shutting down",
  providerStopped: "the provider stopped",
  providerDidNotStart: "the provider did not start",
  callsNoLongerTaken: "the provider takes no more calls here",
  connectionClosing: "the connection is closing",
  connectionAged: "the connection has reached its age",
  endpointWithdrawn: (endpoint: string) => `${endpoint} is no longer offered`,

  // --- deadlines and cancellation, at the caller ---
  noReplyInTime: (timeoutMs: number) => `no reply within ${timeoutMs} ms (timeoutMs, calltimeout)`,
  inheritedDeadlinePassed: "the deadline inherited from the calling handler passed",
  waitedFor: (reason: string) => `: ${reason}`,
  lastAttemptFailed: (reason: string) => `; the last attempt: ${reason}`,
  callingHandlerOutOfTime: "the deadline of the calling handler has passed",
  callingHandlerDeadlinePassed: "the deadline of the calling handler passed",
  noTimeLeft: (timeoutMs: number) => `no time is left of ${timeoutMs} ms (timeoutMs, calltimeout)`,
  noTimeGiven: (timeoutMs: number) => `timeoutMs is ${timeoutMs}: there is no time for the call`,
  deadlinePassedBeforeSending: "the deadline passed before sending",
  callingHandlerCancelled: "the calling handler was cancelled",
  cancelledBySignal: "cancelled by the caller's signal",
  cancelledByController: "cancelled by RpcController.startCancel()",

  // --- deadlines, cancellation and failure, at the provider ---
  deadlinePassedOnTheWay: "the deadline passed on the way",
  deadlinePassedInHandler: "the deadline passed in the handler",
  deadlinePassedBeforeHandler: "the deadline passed before the handler ran",
  callEndedBeforeHandler: "the call has ended before its handler ran",
  cancelledByCaller: "cancelled by the caller",
  cancelledBeforeReplySent: "the call was cancelled before its reply was sent",
  nestedCallFailed: "a call made by the handler was cancelled or ran out of time",
  handlerFailed: "the handler failed; the provider's log has the reason",
  cancelCallbackThrew: (method: string, reason: string) =>
    `a notifyOnCancel callback of ${method} threw: ${reason}`,

  // --- no provider to call ---
  noProvider: (service: string, registry: string, hint: string) =>
    `no provider of ${service} in registry ${registry}${hint}`,
  giveFullName: (service: string) => `; if it is in a package, give its full name: PACKAGE.${service}`,
  noProviderOfOurs: (service: string, registry: string, hint: string) =>
    `no provider of ours of ${service} in registry ${registry}${hint}`,
  everyEndpointDown: (service: string, reasons: string, hint: string) =>
    `every endpoint of ${service} is down: ${reasons}${hint}`,
  andMoreReasons: (count: number) => `, and ${count} more`,
  endpointDown: (endpoint: string) => `${endpoint} is down`,
  classicMethodMissing: (endpoint: string, method: string) => `classic ${endpoint} has no ${method}`,
  classicNotUsed: (endpoint: string) => `classic ${endpoint} is not used`,
  classicDown: (reason: string) => `${reason} (classic)`,
  classicNotCalled: (endpoints: string) =>
    `; classic providers are not called, channel.classic: ${endpoints}`,
  classicNotTrusted: (endpoints: string) =>
    `; classic providers are not called, anybody can write their entries (with zookeeper.auth the default is no; channel.classic): ${endpoints}`,
  noClassicMethod: (service: string, registry: string, method: string) =>
    `no classic provider of ${service} in registry ${registry} has ${method}`,
  onlyClassicProviders: (service: string, registry: string) =>
    `${service} has only classic providers in registry ${registry}, which cannot be asked for its messages: give them as ChannelOptions.descriptors (mprpc call --proto FILE)`,
  registryDenies: (registry: string, reason: string) => `registry ${registry}: ${reason}`,
  zooKeeperDenies: (service: string, reason: string) =>
    `ZooKeeper does not let us read ${service} (${reason}); callers need the permission READ there, or credentials that have it: [zookeeper] auth=user:password`,
  registrySilent: (registry: string, hint: string) => `registry ${registry} has not answered yet${hint}`,
  registryTrouble: (reason: string) => ` (${reason})`,
  savedListOutdated: (silent: string) => `${silent}, and the list saved earlier is out of date`,
  noneInSavedList: (silent: string, reason: string) => `${silent}; by the list saved earlier, ${reason}`,
  noneInLastList: (reason: string, registry: string, hint: string) =>
    `${reason}; registry ${registry} is away${hint}, its last list is used`,

  // --- connecting ---
  cannotConnect: (endpoint: string, reason: string) => `cannot connect to ${endpoint}: ${reason}`,
  connectedToItself: "nobody listens there, the connection came back to the caller itself",
  connectTimedOut: (endpoint: string, timeoutMs: number) =>
    `no connection to ${endpoint} within ${timeoutMs} ms (channel.connecttimeout)`,
  connectGivenUp: (endpoint: string) => `connecting to ${endpoint} was given up`,
  turnedAway: (endpoint: string, reason: string) => `${endpoint} turned the caller away: ${reason}`,
  tooManyConnections: (max: number) => `${max} connections are open (provider.maxconnections)`,
  closedWhenNew: (endpoint: string, reason: string) => `${endpoint} closed a new connection: ${reason}`,
  withoutAWord: "without a word",
  fellSilent: (endpoint: string, reason: string | undefined) => `${endpoint} fell silent: ${reason}`,
  sentMalformed: (endpoint: string, reason: string | undefined) =>
    `${endpoint} sent what no provider may: ${reason}`,
  closedOnFirstCalls: (endpoint: string, reason: string | undefined) =>
    `${endpoint} closed a connection with its first calls on it: ${reason}`,
  goesAwayAtOnce: (endpoint: string) => `${endpoint} goes away on each connection at its first calls`,
  nothingCame: (timeoutMs: number) => `nothing came on it within ${timeoutMs} ms (channel.connecttimeout)`,

  // --- a connection that ends with calls in flight ---
  connectionLost: (reason: string) => `connection lost: ${reason}`,
  callerLost: (reason: string) => `the connection to the caller is lost: ${reason}`,
  closed: "closed",
  closedByProvider: "closed by the provider",
  connectionReset: "connection reset by the peer",
  callerGone: "the caller is gone",
  callerOverLimitStayed: "the caller was turned away, and stayed",
  callerToldToLeaveStayed: "the caller was told to leave, and stayed",
  pingUnanswered: (silentMs: number) => `no answer to a ping, silent for ${silentMs} ms`,
  malformedFromProvider: (reason: string) => `malformed bytes from the provider: ${reason}`,
  malformedFromCaller: (reason: string) => `malformed bytes from the caller: ${reason}`,
  notMprpc: (endpoint: string, firstBytes: string) =>
    `what listens at ${endpoint} does not speak mprpc, its first bytes are ${firstBytes}`,
  unexpectedReply: (callId: number) => `a reply to call ${callId}, which waits for none`,
  impossibleGoingAway: (counted: number, sent: number) =>
    `a going-away that counts ${counted} calls, where ${sent} were sent`,
  callNumberTaken: (callId: number) => `call ${callId} is in flight or out of range`,
  http2StreamReset: (side: string, code: string) => `the ${side} has reset the stream: ${code}`,
  http2StreamNotTaken: (said: string) => `the server goes away and has not taken the stream: ${said}`,
  http2TooMuchUnwritten: (maxBytes: number) => `more than ${maxBytes} bytes wait to be sent to the peer`,
  http2Idle: (idleMs: number) => `no request for ${idleMs} ms`,
  http2NumbersUsedUp: "the connection has no stream numbers left",

  // --- messages in chunks that stop in the middle ---
  requestStalled: (stalledMs: number) => `the request made no progress for ${stalledMs} ms`,
  replyStalled: (stalledMs: number) => `a reply made no progress for ${stalledMs} ms`,
  requestGivenUp: "the caller gave its request up before all of it was sent",
  replyGivenUp: "the provider gave its reply up before all of it was sent",

  // --- limits: the text says which, and the key that raises it ---
  requestTooLarge: (bytes: number, maxBytes: number) =>
    `a request of ${bytes} bytes is over the limit of ${maxBytes} (limits.body)`,
  requestTooLargeForProvider: (bytes: number, maxBytes: number) =>
    `a request of ${bytes} bytes is over the provider's limit of ${maxBytes} (its limits.body)`,
  requestRefusedAsTooLarge: (bytes: number, maxBytes: number) =>
    `a request of ${bytes} bytes is over the provider's limit of ${maxBytes} (limits.body)`,
  requestTooLargeForClassic: (bytes: number, maxBytes: number) =>
    `a request of ${bytes} bytes is over the limit of a classic provider, ${maxBytes}`,
  headerTooLarge: (bytes: number, maxBytes: number) =>
    `metadata make a header of ${bytes} bytes, over the limit of ${maxBytes} (limits.header)`,
  headerTooLargeForProvider: (bytes: number, maxBytes: number) =>
    `metadata make a header of ${bytes} bytes, over the provider's limit of ${maxBytes} (its limits.header)`,
  replyTooLarge: (bytes: number, maxBytes: number) =>
    `a reply of ${bytes} bytes is over the limit of ${maxBytes} (limits.body)`,
  replyTooLargeForBoth: (bytes: number, headerBytes: number, maxBytes: number, headerMaxBytes: number) =>
    `the reply takes ${bytes} bytes and its header ${headerBytes}; the limits are ${maxBytes} (limits.body) and ${headerMaxBytes} (limits.header), the smaller of both sides`,
  classicReplyTooLarge: (maxBytes: number) =>
    `the reply is over the limit of ${maxBytes} bytes (limits.body)`,
  tooManyCallsOnConnection: (calls: number, hint: string) =>
    `${calls} calls are in flight on this connection${hint}, the limit (provider.maxinflightperconnection)`,
  tooManyCallsForProvider: (calls: number) =>
    `${calls} calls are in flight on this connection, the provider's limit (provider.maxinflightperconnection)`,
  tooManyCalls: (calls: number, hint: string) =>
    `${calls} calls are in flight${hint}, the provider's limit (provider.maxinflight)`,
  givenUpInHandlers: (calls: number) => `, ${calls} of them given up and still in their handlers`,
  tooManyArriving: (count: number) =>
    `${count} messages in chunks are arriving on this connection, the limit (limits.arriving)`,
  tooMuchArriving: (bytes: number, maxBytes: number) =>
    `messages of ${bytes} bytes would be arriving on this connection, over the limit of ${maxBytes} (limits.arrivingbytes)`,
  tooManyWaitForConnection: (calls: number, endpoint: string) =>
    `${calls} calls wait for a connection to ${endpoint} already (channel.maxpending)`,
  tooManyWaitForEndpoint: (calls: number, service: string, reason: string) =>
    `${calls} calls wait for an endpoint of ${service} already (channel.maxpending): ${reason}`,
  tooMuchUnwritten: (bytes: number, maxBytes: number) =>
    `${bytes} bytes wait to be sent, over the limit of ${maxBytes} (limits.unwritten)`,
  tooMuchUnwrittenToCaller: (bytes: number, maxBytes: number) =>
    `${bytes} bytes wait to be sent to this caller, over the limit of ${maxBytes} (limits.unwritten)`,

  // --- messages that cannot be written or read ---
  requestUnencodable: (reason: string) => `the request cannot be encoded: ${reason}`,
  requestUndecodable: (typeName: string, reason: string) =>
    `the request cannot be decoded as ${typeName}: ${reason}`,
  replyUnencodable: (typeName: string) =>
    `the handler's reply cannot be encoded as ${typeName}; the provider's log has the reason`,
  replyUndecodable: (typeName: string, reason: string) =>
    `the reply cannot be decoded as ${typeName}: ${reason}`,
  grpcFlag: (flag: number) => `a gRPC message begins with ${flag}, where 0 or 1 is expected`,
  grpcCompressedWithoutEncoding: (encoding: string) =>
    `a gRPC message is compressed, and grpc-encoding is ${encoding}`,
  grpcBodyCutOff: "the stream ended in the middle of a gRPC message",
  grpcNotInflatable: (reason: string) => `a compressed gRPC message cannot be inflated: ${reason}`,
  grpcInflatedTooLarge: (maxBytes: number) =>
    `a compressed gRPC message is over the limit of ${maxBytes} bytes when it is inflated (limits.body)`,
  grpcNoMessage: (method: string) => `${method} takes one message, and the stream ended without any`,
  grpcSecondMessage: (method: string) => `${method} takes one message, and a second one came`,
  grpcNoRoomForRequest:
    "there is no room for the rest of the request (limits.streambuffer, provider.streambuffer)",
  grpcUnknownEncoding: (encoding: string) =>
    `grpc-encoding ${encoding} is not known here: identity and gzip are`,
  grpcTimeoutMalformed: (value: string) => `grpc-timeout ${value} is malformed`,
  grpcMetadataMalformed: (key: string) => `metadata ${key} is not base64`,
  grpcMetadataUnsendable: (reason: string) => `the metadata cannot be sent: ${reason}`,
  grpcContentType: (contentType: string) =>
    `content-type ${contentType} is not served here: application/grpc, application/grpc+proto and application/grpc+json are`,
  grpcPostOnly: "gRPC methods are called with POST",
  grpcNotServed: "gRPC is not served here (provider.protocols)",
  http1NotServed: (names: string) => `HTTP/1.1 is not served on this port, which speaks ${names}`,
  http1Refused: "the caller speaks HTTP/1.1, which is not served",
  grpcHttpStatus: (status: string, contentType: string) =>
    `the server answered with HTTP status ${status} and content-type ${contentType}, which is not gRPC`,
  grpcNoStatus: "the server's response ended without grpc-status",
  grpcNoReply: (method: string) => `the server's response to ${method} has status OK and no message`,
  grpcSecondReply: (method: string) => `the server's response to ${method} has a second message`,
  grpcReset: (reason: string) => `the stream was reset: ${reason}`,
  grpcIdempotencyKey: "the idempotency key has characters that gRPC does not carry: printable ASCII is",
  withoutDetails: (text: string, reason: string) => `${text} (details and metadata left out: ${reason})`,
  detailsUnencodable: "they cannot be encoded",
  detailsTooLarge: "over limits.header",

  // --- what a provider does not have ---
  noMethod: (hint: string) => `this provider has no method${hint}`,
  noService: (service: string) => `this provider has no service ${service}`,
  unknownCompression: (compression: number) => `compression ${compression} is not known to this provider`,
  otherKind: (method: string, here: string, called: string) =>
    `${method} is ${here} here, and the call is ${called}: generate the caller's code again`,
  classicCallOfStream: (method: string, kind: string) =>
    `${method} is ${kind}, and the classic wire has no streams`,
  onewayStream: (method: string, kind: string) => `${method} is ${kind}: a stream cannot be called oneway`,

  reflectionUnknownRequest: "a reflection request without a question that is known here",
  reflectionNotFound: (asked: string) => `this provider knows no ${asked}`,
  reflectionSilent: "the server's reflection gave no answer",

  // --- streams ---
  streamIteratedTwice: (stream: string) => `${stream} can be iterated once, and has been`,
  writeAfterEnd: "OutgoingStream.write() after end() or fail()",
  writeAfterCall: "the call of this OutgoingStream has ended",
  sourceFailed: (reason: string) => `the source of requests failed: ${reason}`,
  sourceUsed:
    "the requests were read by the attempt before: an interceptor that calls next again must put a new source into call.request",
  readerLeft: "the reader left the stream before its end",
  streamCancelled: "cancelled by IncomingStream.cancel()",
  streamIdle: (idleTimeoutMs: number) =>
    `no message in either direction for ${idleTimeoutMs} ms (idleTimeoutMs)`,
  channelClosedStream: "the channel was closed, and its open streams with it",
  handlerGaveNoSource: (method: string, wrong: string) =>
    `the handler of ${method} returned no stream: ${wrong}`,
  requestsAfterCall: "the call has ended, and no more requests come",
  noRoomForStream:
    "there is no room for the requests of one more stream (limits.streambuffer, provider.streambuffer)",
  streamMessageUnencodable: (reason: string) => `a message of the stream cannot be encoded: ${reason}`,
  streamMessageUndecodable: (type: string, reason: string) =>
    `a message of the stream is no ${type}: ${reason}`,
  streamMessageTooLarge: (bytes: number, max: number) =>
    `a message of the stream of ${bytes} bytes is over the limit of ${max} (limits.body, of this side or the other)`,
  streamMessageTooLargeHere: (bytes: number, max: number) =>
    `a message of ${bytes} bytes came on the stream, over the limit of ${max} (limits.body)`,
  streamMessageGivenUp: "the sender of the stream gave up a message in the middle",
  streamMessageStalled: (ms: number) => `a message of the stream made no progress for ${ms} ms`,

  // --- streams of a peer that breaks the wire: its connection ends ---
  creditOfNothing: "credit of 0 bytes",
  creditTooLarge: (bytes: number) => `credit that comes to ${bytes} bytes`,
  creditWithoutStream: (callId: number) => `credit for call ${callId}, where this side sends no stream`,
  overCredit: (callId: number, bytes: number, credit: number) =>
    `${bytes} bytes on the stream of call ${callId}, where it has credit for ${credit}`,
  streamFrameOfUnary: (callId: number) => `a message for call ${callId}, where that side sends no stream`,
  metadataTwice: (callId: number) =>
    `initial metadata of call ${callId} behind its metadata or first message`,
  messageBeforeWhole: (callId: number) =>
    `a message or the end of the stream of call ${callId} before the message it announced was whole`,
  messageAfterHalfClose: (callId: number) => `a message of call ${callId} behind the end of its requests`,

  // --- classic providers and callers ---
  onewayToClassic: "the classic wire has no oneway calls",
  dialectAssumed:
    "the classic provider was asked in the le32 dialect, which nothing says that it speaks (channel.classic=SERVICE=DIALECT, mprpc call --classic=DIALECT)",
  classicClosed: (reason: string) => `the classic provider closed the connection: ${reason}`,
  withoutReply: "no reply",
  classicReplyCut: "the classic provider closed before its reply was whole",
  classicReplyMissing: "the classic provider closed without a reply, or with an empty one",
  classicReplyUndecodable: (typeName: string, reason: string) =>
    `the classic reply cannot be decoded as ${typeName}: ${reason}`,
  classicCallUnknown: (method: string) => `no method ${method}`,
  classicRequestUndecodable: (typeName: string) => `the request cannot be decoded as ${typeName}`,
  replyToClassicUnencodable: "the handler's reply cannot be encoded",
  emptyReplyEndedConnection: "an empty reply ended the connection, and with it the requests behind it",

  // --- calls in JSON ---
  unknownBytesForm: (found: string) => `bytes: expected "base64" or "text", got ${found}`,
  wrongDescriptors: (reason: string) => `option "descriptors": ${reason}`,
  unusableDescription: (service: string, reason: string) =>
    `the description of ${service} cannot be used: ${reason}`,
  undescribedMessages: (service: string) =>
    `the provider of ${service} does not tell its messages: give them as ChannelOptions.descriptors (mprpc call --proto FILE)`,
  undescribedMethod: (service: string, method: string, hint: string) =>
    `${service} has no method ${method}${hint}`,
  describedMethods: (names: string) => `; it has ${names}`,
  descriptorsTooLarge: (size: number, max: number) =>
    `the descriptors are ${size} bytes, and at most ${max} are read`,
  descriptorNotBytes: "a descriptor is not the bytes of a FileDescriptorProto",
  descriptorInvalid: (reason: string) => `a descriptor is no valid FileDescriptorProto: ${reason}`,
  descriptorTooDeep: "a descriptor is nested too deep",
  descriptorNameInvalid: (name: string) => `a descriptor has the name ${name}`,
  descriptorDuplicate: (name: string) => `the descriptors declare ${name} twice`,
  descriptorMissingType: (owner: string, kind: string, name: string) =>
    `${owner} needs the ${kind} ${name}, which no descriptor declares`,
  descriptorTooManyFields: (name: string, fields: number) =>
    `the descriptors have too many fields: ${name} with its ${fields} is one message too many`,
  unknownJsonField: (typeName: string, field: string, hint: string) =>
    `${typeName} has no field ${field}${hint}`,
  jsonTextTooDeep: (max: number) => `the JSON is nested more than ${max} deep`,
  jsonKeyTwice: (place: string) => `${place} is given twice`,
  jsonRequired: (field: string) => `${field} is required`,
  jsonNumberTooLarge: (place: string, digits: string) =>
    `${place === "" ? "" : `${place}: `}${digits} is beyond what a number can be`,
  typeWithoutFile: (typeName: string) =>
    `${typeName} has no .proto file with it, which JSON needs: generate its code again with mprpc generate`,
  typeNotInItsFile: (typeName: string, file: string) => `${typeName} is not declared in ${file}`,
  unknownTypeInAny: (owner: string, url: string) =>
    `${owner}: the message ${url} is in none of the .proto files that are known here`,
  jsonTooDeep: (typeName: string, max: number) => `${typeName} is nested more than ${max} deep`,
  notBase64: (field: string, found: string) =>
    `${field}: expected bytes as base64, got ${found}; with bytes: "text" (mprpc call --text) they are given as they are`,

  // --- not from calls ---
  notAStatus: (found: string, hint: string) =>
    `RpcError: expected a code of Status but OK, got ${found}${hint}`,
  notAnApplication: (owner: string, found: string) =>
    `${owner}: expected an application (await MprpcApplication.init(process.argv)), got ${found}`,
  cannotListen: (address: string, reason: string) => `cannot listen on ${address}: ${reason}`,
  noRoute: (address: string) => `no route to ${address} (set advertiseaddress)`,
  notAService: (found: string) =>
    `notifyService: expected a generated service (UserServiceRpc), then its handlers, got ${found}`,
  serviceTwice: (service: string) => `notifyService: ${service} was given already`,
  serviceBuiltIn: (service: string) => `notifyService: ${service} is built in`,
  serviceTooLate: (service: string) => `notifyService: ${service} comes too late, the provider has started`,
  shortNameTwice: (service: string, other: string, short: string) =>
    `notifyService: ${service} and ${other} are both ${short} to classic callers: give one { classic: false }`,
  handlersNoObject: (service: string, found: string) =>
    `notifyService: the handlers of ${service} are no object, but ${found}`,
  handlersMissing: (service: string, names: string) =>
    `notifyService: the handlers of ${service} lack ${names}`,
};
