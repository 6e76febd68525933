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
  controllerBusy: "this RpcController already serves a call: use one controller for each call",
  controllerResetInFlight: "RpcController.reset() while its call is in flight: cancel or await it first",

  // --- the caller or the provider stops ---
  channelClosed: "the channel was closed",
  applicationClosed: "the application was closed",
  providerShuttingDown: "the provider is shutting down",
  providerStopped: "the provider stopped",
  providerDidNotStart: "the provider did not start",
  callsNoLongerTaken: "the provider takes no more calls here",
  connectionClosing: "the connection is closing",
  connectionAged: "the connection has reached its maximum age",
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
  deadlinePassedOnTheWay: "the deadline passed while the request was in transit",
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
    `no mprpc provider of ${service} in registry ${registry}${hint}`,
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
  inprocRefused: "the provider takes no more connections",
  unixSocketOfOther: (uid: number) =>
    `the socket is another user's (uid ${uid}), and others may write to the registry that names it`,
  notInThisProcess: "inproc: reaches only providers of the same process",
  connectedToItself: "nobody listens there, the connection came back to the caller itself",
  connectTimedOut: (endpoint: string, timeoutMs: number) =>
    `no connection to ${endpoint} within ${timeoutMs} ms (channel.connecttimeout)`,
  connectGivenUp: (endpoint: string) => `connecting to ${endpoint} was given up`,
  turnedAway: (endpoint: string, reason: string) => `${endpoint} turned the caller away: ${reason}`,
  tooManyConnections: (max: number) => `${max} connections are open (provider.maxconnections)`,
  closedWhenNew: (endpoint: string, reason: string) => `${endpoint} closed a new connection: ${reason}`,
  withoutAWord: "it sent nothing",
  fellSilent: (endpoint: string, reason: string | undefined) => `${endpoint} fell silent: ${reason}`,
  sentMalformed: (endpoint: string, reason: string | undefined) =>
    `${endpoint} broke the protocol: ${reason}`,
  closedOnFirstCalls: (endpoint: string, reason: string | undefined) =>
    `${endpoint} closed a connection with its first calls on it: ${reason}`,
  goesAwayAtOnce: (endpoint: string) => `${endpoint} goes away on each connection at its first calls`,
  nothingCame: (timeoutMs: number) => `nothing came on it within ${timeoutMs} ms (channel.connecttimeout)`,

  // --- TLS ---
  handshakeFailed: (endpoint: string, reason: string) =>
    `the TLS handshake with ${endpoint} failed: ${reason}`,
  handshakeTimedOutAt: (endpoint: string, timeoutMs: number) =>
    `no TLS handshake with ${endpoint} within ${timeoutMs} ms (channel.connecttimeout)`,
  closedInHandshake:
    "the other side closed the connection; perhaps it speaks no TLS (its tls.mode), or refuses what was offered, of which its log says more",
  notTls:
    "the answer is not TLS: the other side speaks in clear (its tls.mode, here tls.ca and auth.secrets)",
  certificateExpired: "the certificate has expired",
  certificateNotYetValid: "the certificate is not valid yet, by the clock of this machine",
  certificateRevoked: "the certificate is revoked (tls.crl)",
  certificateSelfSigned:
    "the certificate is signed by itself: name an authority that signed it, or itself, in tls.ca",
  certificateUntrusted: "the certificate is signed by no authority that is trusted here (tls.ca)",
  certificatePurpose: "the certificate is not for this side of a connection (its extended key usage)",
  certificateMissing: "no certificate was shown",
  certificateUnreadable: (reason: string) => `the certificate cannot be read: ${reason}`,
  certificateNameless: (names: string) =>
    `the certificate names nobody: it has ${names}, and no DNS name or SPIFFE ID`,
  certificateOfWildcard: (names: string) =>
    `the certificate names nobody: it has ${names}, and a wildcard stands for many names; the certificate of a caller needs one of its own`,
  certificateRefused: "the other side does not accept our certificate (its tls.ca, tls.crl)",
  crlMissing: "there is no revocation list of the authority that signed it: add one to tls.crl",
  crlExpired: "the revocation list is out of date (tls.crl)",
  wrongName: (wanted: string, names: string, isHost: boolean) =>
    `the certificate is of ${names}, and ${wanted} is expected (${isHost ? "the address; set tls.peername to expect another name" : "tls.peername"})`,
  wrongRegistryName: (wanted: string, names: string) =>
    `the certificate is of ${names}, and the registry says ${wanted} (its attribute tlsname)`,
  spiffeIdWrong: (names: string) =>
    `a certificate of a SPIFFE workload has one URI, spiffe://domain/path without segments such as "..", and this one has ${names}`,
  trustDomainWrong: (domain: string, expected: string | undefined) =>
    expected === undefined
      ? `its trust domain is ${domain}, and none is accepted (tls.trustdomain)`
      : `its trust domain is ${domain}, and ${expected} is accepted (tls.trustdomain)`,
  tlsVersionTooLow: "the two sides have no version of TLS in common (tls.minversion)",
  noSharedCipher:
    "the two sides have no cipher, certificate or secret in common (tls.ciphers, tls.cert, auth.secrets)",
  noAlpn: "the two sides have no protocol in common (ALPN)",
  noAlpnOf: (offered: string) => `the other side does not agree to speak ${offered} (ALPN)`,
  secretKeyDiffers: "the two sides have different keys of this secret (auth.secrets)",
  secretNotProved: "the other side has not proved that it knows the secret (auth.secrets)",
  secretNotKnownThere: (name: string) => `the other side does not know the secret ${name} (auth.secrets)`,
  secretNotKnown: "the caller offers a secret that is not in auth.secrets here",
  secretWithdrawn: "its secret has been changed or taken out of auth.secrets",
  clientCertificateWanted: "the other side wants a certificate of ours (tls.cert, tls.key)",
  clientCertificateMissing:
    "the caller shows no certificate, and one is needed (tls.cert and tls.key there, tls.clientauth here)",
  clientCertificateRefused: (reason: string) => `the caller's certificate is not accepted: ${reason}`,
  portSpeaksTls:
    "this port speaks TLS only, and the caller spoke in clear: give the caller tls.ca or auth.secrets (or the provider tls.mode=optional)",
  portInClear: "; to answer TLS set tls.mode=optional or required, with a certificate or secrets",
  notSecured: (endpoints: string) =>
    `; endpoints without TLS are not called, because tls.ca or auth.secrets is set: ${endpoints}`,
  alpnContradicted: (alpn: string, protocol: string) => `TLS agreed on ${alpn}, and what came is ${protocol}`,
  distrusted: (reason: string) => `the other side is not trusted any more: ${reason}`,
  handshakeTimedOut: (timeoutMs: number) => `not done within ${timeoutMs} ms (tls.handshaketimeout)`,
  tooManyHandshakes: (max: number) =>
    `others wait for its place, and ${max} handshakes are under way (tls.maxhandshakes)`,
  helloEmptyRecord: "the caller sends empty records of a handshake, which no honest one does",
  helloTooLarge: (maxBytes: number) =>
    `the first message of the caller's handshake takes more than ${maxBytes} bytes`,
  tooManyHandshakesOf: (max: number) =>
    `others of its address wait for its place, and ${max} handshakes of that address are under way (tls.maxhandshakesperaddress)`,
  handshakeLeft:
    "the caller left before the handshake was done: perhaps it does not accept our certificate (its tls.ca, tls.peername)",
  leftAfterHandshake:
    "the caller left without a byte right after the handshake: perhaps it does not accept our certificate (its tls.ca, tls.peername)",

  // --- a connection that ends with calls in flight ---
  connectionLost: (reason: string) => `connection lost: ${reason}`,
  callerLost: (reason: string) => `the connection to the caller is lost: ${reason}`,
  closed: "closed",
  closedByProvider: "closed by the provider",
  /** It had said why it would go away. */
  closedByProviderSince: (why: string) => `closed by the provider: ${why}`,
  closedUnheard: "closed by the provider, which has sent nothing",
  closedUnheardTls:
    "closed by the provider, which has sent nothing: perhaps it wants a certificate of ours, or another one (tls.cert, tls.key)",
  connectionReset: "connection reset by the peer",
  callerGone: "the caller is gone",
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
  builtinRequestTooLarge: (bytes: number, maxBytes: number) =>
    `a request of ${bytes} bytes is over the limit of ${maxBytes} for built-in services`,
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
  noRoomForArriving: "there is no room for one more message in chunks (provider.streambuffer)",
  tooManyWaitForConnection: (calls: number, endpoint: string) =>
    `${calls} calls wait for a connection to ${endpoint} already (channel.maxpending)`,
  tooManyWaitForEndpoint: (calls: number, service: string, reason: string) =>
    `${calls} calls wait for an endpoint of ${service} already (channel.maxpending): ${reason}`,
  tooMuchUnwritten: (bytes: number, maxBytes: number) =>
    `${bytes} bytes wait to be sent, over the limit of ${maxBytes} (limits.unwritten)`,
  tooMuchUnwrittenToCaller: (bytes: number, maxBytes: number) =>
    `${bytes} bytes wait to be sent to this caller, over the limit of ${maxBytes} (limits.unwritten)`,

  connectionsOfCaller: (caller: string, connections: number) =>
    `${caller} has ${connections} connections open, its limit here (provider.maxconnectionspercaller)`,
  connectionShareTaken: (caller: string, connections: number, max: number) =>
    `${caller} has ${connections} connections open, its share of the ${max} that are nearly all taken (provider.maxconnections; provider.maxconnectionspercaller takes the place of shares)`,
  settingsFileUnreadable: (setting: string, file: string, reason: string) =>
    `${setting}: cannot read ${file}: ${reason}`,
  jwksUnusable: (file: string, reason: string) =>
    `auth.jwks: ${file} has no keys of JSON web tokens (a JSON Web Key Set): ${reason}`,
  callsOfCaller: (caller: string, calls: number) =>
    `${caller} has ${calls} calls in flight, its limit here (provider.maxinflightpercaller)`,
  callShareTaken: (caller: string, calls: number, max: number) =>
    `${caller} has ${calls} calls in flight, its share of the ${max} that are nearly all taken (provider.maxinflight)`,
  tooManyBuiltinStreams: (caller: string, streams: number, max: number) =>
    `${caller} has ${streams} streams of built-in services open, its share of the ${max} there may be`,
  tooManyCallsArriving: (caller: string, calls: number, max: number) =>
    `${caller} has ${calls} calls whose requests or tokens are not complete, its share of the ${max} there may be (provider.maxinflight)`,
  tooManyCallsPerSecond: (caller: string, max: number) =>
    `${caller} makes more than ${max} calls a second, its limit here (provider.maxcallspersecond)`,
  unreadByCaller: (caller: string, bytes: number, maxBytes: number) =>
    `${bytes} bytes wait to be sent on the connections of ${caller}, over the limit of ${maxBytes} (provider.unreadpercaller)`,
  tooManyChecks: (checks: number) => `${checks} tokens are being checked, the provider's limit`,
  checksShareTaken: (caller: string, checks: number, max: number) =>
    `${caller} has ${checks} tokens that are being checked, its share of the ${max} there may be`,
  tooManyChecksOnConnection: (checks: number) =>
    `${checks} tokens are being checked on this connection, the limit`,
  tooMuchWaitsForChecks: (bytes: number, maxBytes: number) =>
    `requests of ${bytes} bytes wait for their tokens to be checked on this connection, over the limit of ${maxBytes} (limits.arrivingbytes)`,
  noRoomForChecks:
    "there is no room for one more request that waits for its token to be checked (provider.streambuffer)",

  // --- who may call ---
  identityNeeded: (method: string) =>
    `${method} is not open to callers without an identity: a certificate, a secret or a token is needed ([authz])`,
  ruleOfNoMethod: (where: string, pattern: string) =>
    `${where}: the rule for ${pattern} decides nothing: that service has no such method`,
  ruleOfServiceAsPackage: (where: string, pattern: string, meant: string) =>
    `${where}: the rule for ${pattern} decides nothing: it is for a package, and that is a service; write ${meant}`,
  ruleOfMistypedService: (where: string, pattern: string, service: string, meant: string) =>
    `${where}: the rule for ${pattern} decides nothing here: ${service} is not served; did you mean "${meant}"?`,
  rulesChanged: (rules: number, changes: string) =>
    `the policy has ${rules} ${rules === 1 ? "rule" : "rules"} now: ${changes}`,
  ruleForNobody: (where: string, identities: string, pattern: string, cure: string) =>
    `${where}: nobody can be ${identities} here, so ${pattern} is closed to all, until ${cure}`,
  tokensWithoutRules:
    "callers without a token are served like those with one: there are no rules ([authz], auth.policy); * = any says that this is meant",
  rulesNotUsed: (file: string) =>
    `the rules of ${file} are not used: the provider has its own (option policy)`,
  notAllowed: (method: string, caller: string) => `${method} is not allowed to ${caller} ([authz])`,
  tokenUnknown: "the token is not accepted: no authenticator of this provider knows it",
  tokenExpired: "the token is not accepted: it has expired",
  tokenInvalid: (reason: string) => `the token is not accepted: ${reason}`,
  tokenTooLong: (maxBytes: number) => `the token is not accepted: it is over the limit of ${maxBytes} bytes`,
  tokenExpiredInCall: "the token of the call has expired, or is not accepted any more",
  checkTookTooLong: (timeoutMs: number) =>
    `the token could not be checked within ${timeoutMs} ms (auth.checktimeout)`,
  checkFailed: "the token could not be checked; the provider's log has the reason",
  authenticatorLost:
    "an authenticator has not returned for a minute after its signal was aborted: it counts no more among those that run",
  checkGivenUp: "the call ended before its token was checked",
  identityTooLong: (characters: number, max: number) =>
    `the name that the token proves has ${characters} characters, over the limit of ${max}`,
  notATokenIdentity: (found: string) =>
    `an authenticator must give a name with its kind, such as "jwt:https://idp.example.com#alice", and none of the transport's kinds, got ${found}`,
  noToken: (reason: string) => `there is no token for the call (credentials): ${reason}`,
  tokenInClear: (endpoint: string) =>
    `the connection to ${endpoint} is not confidential, and so no token is sent on it (auth.allowplain)`,
  tokenFileWrong: (file: string) =>
    `${file} does not hold a token: the token alone belongs there, without "Bearer", blanks and further lines`,
  waitsForToken: "the channel has no token yet (credentials)",
  waitsForPushback: (waitMs: number) =>
    `its server asked for ${waitMs} ms before another try (grpc-retry-pushback-ms)`,

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
  grpcNoRoomForMetadata:
    "there is no room for the metadata of one more request that has not arrived as a whole (limits.arrivingbytes, provider.streambuffer)",
  grpcUnknownEncoding: (encoding: string) =>
    `grpc-encoding ${encoding} is not supported: use identity or gzip`,
  grpcTimeoutMalformed: (value: string) => `grpc-timeout ${value} is malformed`,
  grpcMetadataMalformed: (key: string) => `metadata ${key} is not base64`,
  grpcMetadataUnsendable: (reason: string) => `the metadata cannot be sent: ${reason}`,
  grpcContentType: (contentType: string) =>
    `content-type ${contentType} is not served here: use application/grpc, application/grpc+proto or application/grpc+json`,
  grpcPostOnly: "gRPC methods are called with POST",
  mprpcNotServed: "mprpc is not served here (provider.protocols)",
  grpcNotServed: "gRPC is not served here (provider.protocols)",
  http1NotServed: (names: string) => `HTTP/1.1 is not served on this port, which speaks ${names}`,
  http1Refused: "the caller speaks HTTP/1.1, which is not served",
  grpcHttpStatus: (status: string, contentType: string) =>
    `the server answered with HTTP status ${status} and content-type ${contentType}, which is not gRPC`,
  grpcNoStatus: "the server's response ended without grpc-status",
  grpcNoReply: (method: string) => `the server's response to ${method} has status OK and no message`,
  grpcSecondReply: (method: string) => `the server's response to ${method} has a second message`,
  grpcReset: (reason: string) => `the stream was reset: ${reason}`,
  grpcIdempotencyKey: "over gRPC the idempotency key may have only printable ASCII",
  withoutDetails: (text: string, reason: string) => `${text} (details and metadata left out: ${reason})`,
  detailsUnencodable: "they cannot be encoded",
  detailsTooLarge: "over limits.header",
  grpcStatusTooLarge: (maxBytes: number) => `over the ${maxBytes} bytes of a gRPC status`,

  // --- what a provider does not have ---
  noMethod: (hint: string) => `this provider has no method${hint}`,
  serviceNameTooLong: (characters: number, max: number) =>
    `the name of the service has ${characters} characters, over the limit of ${max}`,
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

  // --- publish and subscribe ---
  brokerUrlInvalid: (url: string, reason: string, forms: string) =>
    `broker ${url}: ${reason}; allowed: ${forms}`,
  brokerLibraryMissing: (broker: string, packages: string) =>
    `broker ${broker} needs packages that are not installed: npm install ${packages}`,
  brokerPasswordFile: (broker: string, file: string, reason: string) =>
    `broker ${broker}: the passwordfile ${file} cannot be read: ${reason}`,
  brokerUnreachable: (broker: string, reason: string) =>
    `broker ${broker} cannot be reached: ${reason} (the key broker)`,
  brokerConnectionLost: (broker: string, reason: string) =>
    `the connection to broker ${broker} was lost: ${reason}`,
  brokerPasswordWrong: (broker: string, reason: string) =>
    `broker ${broker} refuses the password or user (MPRPC_BROKERPASSWORD, passwordfile= and user= of the key broker): ${reason}`,
  brokerDenied: (broker: string, reason: string) =>
    `broker ${broker} does not permit this to our user (user= of the key broker): ${reason}`,
  brokerOtherServer: (broker: string, kind: string, reason: string) =>
    `what listens at ${broker} is no ${kind} server (the key broker): ${reason}`,
  brokerReadOnly: (broker: string) =>
    `broker ${broker} is a read-only replica: name the primary in the key broker`,
  brokerTooOld: (broker: string, version: string, needed: string) =>
    `broker ${broker} is of version ${version}, and ${needed} or newer is needed`,
  brokerNoJetStream: (broker: string) =>
    `broker ${broker} runs without JetStream, which keeps the messages: start nats-server with --jetstream --store_dir DIR, or enable it for this account`,
  brokerFull: (broker: string, reason: string) =>
    `broker ${broker} has no room for the message (its limits of memory or storage): ${reason}`,
  brokerFailed: (broker: string, reason: string) => `broker ${broker}: ${reason}`,
  brokerClosed: "the broker was closed",
  topicFull: (topic: string, count: number) =>
    `${count} messages of ${topic} wait for their groups, the limit of broker memory:`,
  topicNotAllowed: (topic: string, action: string, who: string) =>
    `${action} to ${topic} is not allowed to ${who} (the rule for topic:${topic}/${action} in [authz] or auth.policy)`,
  topicOfProcess: (identity: string) => `this process, ${identity}`,
  notATopic: (found: string) => `expected a topic (defineTopic, or of generated code), got ${found}`,
  eventCannotBeEncoded: (topic: string, reason: string) =>
    `a message of ${topic} cannot be encoded: ${reason}`,
  eventTooLarge: (topic: string, bytes: number, maxBytes: number) =>
    `a message of ${bytes} bytes to ${topic} is over the limit of ${maxBytes} (limits.body)`,
  eventHeaderTooLarge: (topic: string, bytes: number, maxBytes: number) =>
    `metadata and key of a message to ${topic} take ${bytes} bytes, over the limit of ${maxBytes} (limits.header)`,
  metadataKeyReserved: (key: string) =>
    `metadata key ${key}: those that begin with "mprpc-" belong to the library`,
  publishTimedOut: (topic: string, timeoutMs: number, hint: string) =>
    `the broker did not take the message to ${topic} within ${timeoutMs} ms (timeoutMs, calltimeout)${hint}`,
  brokerTimedOut: (what: string, timeoutMs: number, hint: string) =>
    `${what}: the broker did not answer within ${timeoutMs} ms (calltimeout)${hint}`,
  brokerAway: (reason: string) => `; it cannot be reached: ${reason}`,
  handlerOutOfTime: (timeoutMs: number) => `the handler has had its ${timeoutMs} ms (timeoutMs)`,
  subscriptionClosed: "the subscription was closed before the handler was done",
  eventCannotBeDecoded: (type: string, reason: string) => `the message is no ${type}: ${reason}`,
  deliveredTooOften: (attempts: number) =>
    `handed out ${attempts} times, and each time its handler did not come to an end (maxAttempts)`,
  eventExpired: "its time had passed before a handler was free (ttlMs)",
  noSuchDeadLetter: (position: string, topic: string, group: string) =>
    `group ${group} of ${topic} has no dead letter ${position}`,
  positionInvalid: (position: string, broker: string) => `${position} is no position of broker ${broker}`,

  // --- not from calls ---
  notAStatus: (found: string, hint: string) =>
    `RpcError: expected a code of Status but OK, got ${found}${hint}`,
  notAnApplication: (owner: string, found: string) =>
    `${owner}: expected an application (await MprpcApplication.init(process.argv)), got ${found}`,
  cannotListen: (address: string, reason: string) => `cannot listen on ${address}: ${reason}`,
  unixPathTooLong: (bytes: number, max: number) =>
    `its path has ${bytes} bytes, the system takes ${max}: choose a shorter one`,
  unixPathTaken: "a file that is no socket is there: choose another path, or take it away",
  unixSocketInUse: "another process listens there: stop it, or choose another path",
  unixFolderOpen: (folder: string, mode: string) =>
    `the folder ${folder} is open to other users (mode ${mode}): chmod 700, or choose one of your own`,
  unixFolderOfOther: (folder: string, uid: number) =>
    `the folder ${folder} is another user's (uid ${uid}): choose one of your own`,
  unixFolderUnusable: (folder: string) => `the folder ${folder} cannot be made or read`,
  inprocTaken: "another provider of this process has that name: choose another one, or inproc: alone",
  inprocOff: "this application was given a transport of its own, which carries all calls",
  tlsFileUnreadable: (key: string, file: string, reason: string) => `${key}: cannot read ${file}: ${reason}`,
  tlsFileWithout: (where: string, label: string) => `${where} has no block "BEGIN ${label}"`,
  tlsFileInDer: (where: string, command: string) =>
    `${where} is no PEM, but binary, as DER is: openssl ${command} -inform DER -in FILE -out FILE.pem converts it`,
  tlsKeyMissing: "tls.cert is set without tls.key",
  tlsKeyUnusable: (where: string, reason: string) => `${where} is no key that can be used: ${reason}`,
  tlsKeyLocked: (where: string, reason: string) =>
    `${where} cannot be decrypted by this passphrase (tls.passphrase): ${reason}`,
  tlsKeyEncrypted: (where: string) => `${where} is encrypted, and no passphrase is given (tls.passphrase)`,
  tlsKeyOfAnother: (cert: string, key: string) =>
    `${cert} and ${key} do not belong together: the certificate is for another key`,
  tlsCiphersUnknown: (ciphers: string) => `tls.ciphers: OpenSSL knows no cipher of ${ciphers}`,
  tlsUnusable: (where: string, reason: string) => `the settings of TLS cannot be used (${where}): ${reason}`,
  tlsNothingToShow: (mode: string) =>
    `tls.mode=${mode} needs a certificate (tls.cert, tls.key) or secrets (auth.secrets)`,
  tlsNotHere: (owner: string) => `${owner}: option "tls": the transport of this application has no TLS`,
  peerNameIdle:
    "tls.peername (peerName, peerNames) has no effect without tls.ca, auth.secrets or tls.mode=required: calls would go in clear",
  tlsPairIdle:
    "tls.cert and tls.key have no effect without tls.ca, auth.secrets or tls.mode (ca, secrets, mode): all would go in clear",
  secretIdle: "auth.secret (secret) has no effect without auth.secrets (secrets): all would go in clear",
  modeUnsaid: (keys: string) =>
    `tls.mode is not set beside ${keys}: required serves by TLS, off serves in clear and leaves them to our calls`,
  clientAuthInClear: (clientAuth: string) =>
    `tls.clientauth=${clientAuth} has no effect without tls.mode=required: everybody would be served in clear`,
  clientAuthWithoutCa: (clientAuth: string) =>
    `tls.clientauth=${clientAuth} needs tls.ca: without it a certificate of any public authority would do`,
  clearNeedsNoCertificate:
    "callers in clear are served too, without a certificate: tls.clientauth=require holds for TLS only (tls.mode=optional)",
  channelInClear: (keys: string) =>
    `calls go in clear: ${keys} alone secures no channel, which needs tls.ca, auth.secrets or tls.mode=required`,
  tlsReloadFailed: (reason: string) =>
    `tls: the changed files cannot be used, and the old ones stay: ${reason}`,
  ownCertificateExpired: (when: string) => `tls.cert: the certificate has expired on ${when}`,
  ownCertificateEarly: (when: string) => `tls.cert: the certificate is valid from ${when} only`,
  secretNameWrong: (found: string) =>
    `a secret's name has 1 to 63 of A-Z, a-z, 0-9, ".", "_", "-" and begins with a letter or digit, got ${found}`,
  secretLineWrong: (where: string) => `${where}: expected name:key, as mprpc secret NAME prints it`,
  secretKeyWrong: (where: string) =>
    `${where}: the key is not 32 to 64 bytes in base64 or hex, as mprpc secret NAME prints it`,
  secretTooShort: (where: string, bytes: number, min: number) =>
    `${where}: the key, behind the name and ":", has ${bytes} bytes, at least ${min} random ones are needed: mprpc secret NAME makes it`,
  secretTwice: (where: string, name: string) => `${where}: ${name} is given twice`,
  secretsNoFile:
    "auth.secrets: a file name, or lines that each end with a line break, are needed; what was given is not shown, since it may be secret",
  secretsEmpty: (file: string) => `${file} has no secret (name:key)`,
  secretsReadable: (file: string, mode: string, command: string) =>
    `auth.secrets: ${file} has mode ${mode}, so others than its owner and group may read or write it: ${command}`,
  secretFileOpen: (key: string, file: string, mode: string, command: string) =>
    `${key}: ${file} has mode ${mode}, so other users may read or write it: ${command}`,
  fileWritable: (key: string, file: string, mode: string) =>
    `${key}: ${file} has mode ${mode}, so every user may change it: chmod o-w ${file}`,
  closeOwnFile: (file: string) => `chmod 600 ${file}`,
  closeFileOfAnother: (group: string, file: string) =>
    `chgrp ${group} ${file} && chmod 640 ${file}, as it belongs to another user and is read by that group`,
  secretUnknown: (name: string) => `auth.secret: there is no ${name} in auth.secrets`,
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
