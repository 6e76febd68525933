import { constants } from "node:crypto";
import type net from "node:net";
import type tls from "node:tls";
import type { Clock } from "../../base/clock.js";
import { PeerTimer } from "../../base/peer-timer.js";
import { textOf } from "../../base/thrown.js";
import { messages } from "../../error/messages.js";
import { LimitedLog } from "../../log/limited-log.js";
import type { Logger } from "../../log/logger.js";
import { clearConnection, describeEnd } from "../tcp.js";
import type { Connection } from "../transport.js";
import { subjectNames } from "./certificate.js";
import { type Hello, HelloReader } from "./client-hello.js";
import type { TlsCredentials } from "./credentials.js";
import { codeOf, explainTls } from "./explain.js";
import { type GateTicket, HandshakeGate } from "./handshake-gate.js";
import type { LiveConnections } from "./live-connections.js";
import type { TlsMaterial } from "./material.js";
import { nodeTls } from "./node-tls.js";
import { handshakeLimitsOf } from "./options.js";
import { describeNames, hasSpiffeId, identityOf, trustDomainOf, whyNobody } from "./peer-name.js";
import { isSecretName } from "./secrets.js";
import { SilentSockets } from "./silent-sockets.js";
import { TlsConnection } from "./tls-connection.js";
import { datesOf, peerCertificate } from "./trust.js";

/** In TLS 1.3 shared secrets work only with ciphers of this hash. */
const secretCiphers = "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256";

export interface TlsServerParts {
  readonly credentials: TlsCredentials;
  readonly alpn: readonly string[];
  readonly clock: Clock;
  readonly log: Logger;
  readonly live: LiveConnections;
  readonly onConnection: (connection: Connection) => void;
}

/** One handshake in progress. */
interface Pending {
  readonly raw: net.Socket;
  readonly remote: string;
  readonly material: TlsMaterial;
  ticket: GateTicket | undefined;
  /** The name of the secret whose key was used; undefined: none or more than one. */
  secretName: string | undefined;
  secretsAsked: number;
  /** Only secrets that are unknown here were offered. */
  unknownSecret: boolean;
  failure: string | undefined;
  settled: boolean;
}

/** The two TLS contexts of one load of the files, for secrets and for certificates. Separate, so that a certificate cannot stand in for a key. */
interface Servers {
  readonly material: TlsMaterial;
  readonly certificates: tls.Server | undefined;
  readonly secrets: tls.Server | undefined;
}

/** The identity of a caller, or why it is refused; neither: it is nobody. */
interface Judged {
  readonly identity?: string;
  readonly refusal?: string;
  /** The end of its certificate's time. */
  readonly untilMs?: number;
}

const refused = (why: string): Judged => ({ refusal: messages.clientCertificateRefused(why) });

/** Takes accepted sockets of one listener through their handshakes. */
export class TlsServer {
  readonly #parts: TlsServerParts;
  readonly #gate: HandshakeGate;
  readonly #log: LimitedLog;
  readonly #silent = new SilentSockets();
  /** Handshakes by the address of the other end. */
  readonly #pending = new Map<string, Pending>();
  #servers: Servers | undefined;
  #closed = false;

  constructor(parts: TlsServerParts) {
    this.#parts = parts;
    this.#log = new LimitedLog(parts.clock, parts.log, (more) => `TLS handshake refused: ${more} more`);
    this.#gate = new HandshakeGate(parts.clock, handshakeLimitsOf(parts.credentials.options));
    // A listener that cannot be used is found when it begins.
    this.#current();
  }

  /** `raw` is paused. */
  accept(raw: net.Socket): void {
    raw.on("error", () => {});
    const remote = describeEnd(raw.remoteAddress, raw.remotePort);
    if (this.#closed || raw.remoteAddress === undefined) {
      raw.destroy();
      return;
    }
    this.#silent.add(raw, raw.remoteAddress);
    const reader = new HelloReader();
    const { handshakeTimeoutMs } = handshakeLimitsOf(this.#parts.credentials.options);
    const onTimeout = (): void => {
      if (reader.received.length > 0) this.#refused(remote, messages.handshakeTimedOut(handshakeTimeoutMs));
      raw.resetAndDestroy();
    };
    const timer = new PeerTimer(this.#parts.clock, onTimeout, handshakeTimeoutMs);
    const settle = (): void => {
      timer.cancel();
      this.#silent.delete(raw);
      raw.off("data", onData).off("end", onEnd).off("close", settle);
    };
    const onData = (chunk: Buffer): void => {
      const hello = reader.read(chunk, this.#needsPskNames);
      if (hello.kind === "need-more") return;
      settle();
      raw.pause();
      if (hello.kind === "plain") this.#plain(raw, reader.received);
      else if (hello.kind === "refused") {
        this.#refused(remote, hello.reason);
        raw.resetAndDestroy();
      } else {
        raw.unshift(reader.received);
        this.#waitForTurn(raw, remote, hello);
      }
    };
    const onEnd = (): void => void raw.destroy();
    raw.on("data", onData).on("end", onEnd).on("close", settle);
    raw.resume();
  }

  /** With both secrets and certificates, the offered names decide which context is used. */
  get #needsPskNames(): boolean {
    const { hasCertificate, secrets } = this.#parts.credentials.material;
    return hasCertificate && secrets !== undefined;
  }

  /** Bytes in clear: a normal connection, or one that is only accepted to refuse it with the reason. */
  #plain(raw: net.Socket, received: Buffer): void {
    const connection = clearConnection(raw, received);
    if (this.#parts.credentials.options.mode !== "optional") connection.turnedAway = messages.portSpeaksTls;
    this.#parts.onConnection(connection);
  }

  #waitForTurn(raw: net.Socket, remote: string, hello: Hello & { kind: "tls" }): void {
    const onClose = (): void => ticket.leave();
    const ticket: GateTicket = this.#gate.enter(raw.remoteAddress ?? "", {
      // The gate may call back at once, before the ticket is assigned.
      begin: () => queueMicrotask(() => this.#begin(raw, remote, hello, ticket)),
      drop: (reason) => {
        const pending = this.#pending.get(remote);
        if (pending !== undefined) pending.failure ??= reason;
        else this.#refused(remote, reason);
        raw.resetAndDestroy();
      },
    });
    raw.once("close", onClose);
  }

  #begin(raw: net.Socket, remote: string, { pskNames }: Hello & { kind: "tls" }, ticket: GateTicket): void {
    if (raw.destroyed) return;
    const { material, certificates, secrets } = this.#current();
    const offers = pskNames.some((name) => material.secrets?.has(name));
    const server = certificates === undefined || (offers && secrets !== undefined) ? secrets : certificates;
    const pending: Pending = {
      ...{ raw, remote, material, ticket },
      secretName: undefined,
      secretsAsked: 0,
      // Tickets are offered like secrets, but are longer than any name.
      unknownSecret: !offers && pskNames.some(isSecretName),
      failure: undefined,
      settled: false,
    };
    this.#pending.set(remote, pending);
    raw.once("close", () => this.#onRawClosed(pending));
    // A FIN during the handshake ends the connection; afterwards each direction ends separately.
    raw.allowHalfOpen = false;
    server?.emit("connection", raw);
  }

  #onRawClosed(pending: Pending): void {
    if (pending.settled) return;
    pending.settled = true;
    this.#pending.delete(pending.remote);
    if (this.#closed) return;
    const { unknownSecret, failure } = pending;
    const why = unknownSecret ? messages.secretNotKnown : (failure ?? messages.handshakeLeft);
    this.#refused(pending.remote, why);
  }

  #refused(remote: string, reason: string): void {
    this.#log.warn(`TLS handshake refused: ${reason}`, { peer: remote });
  }

  // --- callbacks of OpenSSL ---

  #current(): Servers {
    const { material } = this.#parts.credentials;
    if (this.#servers?.material === material) return this.#servers;
    const { mode } = this.#parts.credentials.options;
    if (!material.hasCertificate && material.secrets === undefined) {
      throw new Error(messages.tlsNothingToShow(mode ?? "off"));
    }
    this.#servers = {
      material,
      certificates: material.hasCertificate ? this.#certificateServer(material) : undefined,
      secrets: material.secrets === undefined ? undefined : this.#secretServer(material.secrets),
    };
    return this.#servers;
  }

  #certificateServer(material: TlsMaterial): tls.Server {
    const { clientAuth = "none" } = this.#parts.credentials.options;
    return this.#listen(
      nodeTls().createServer({
        ...material.context,
        ALPNProtocols: [...this.#parts.alpn],
        requestCert: clientAuth !== "none",
        // Checked below, so that a refused caller gets the reason.
        rejectUnauthorized: false,
        handshakeTimeout: 0x7fff_ffff,
      }),
    );
  }

  /**
   * No certificate in this context: otherwise a caller that offers a name without its key could still get in with one. And no
   * tickets: a caller could use one of another caller together with the name it offers.
   */
  #secretServer(secrets: ReadonlyMap<string, Buffer>): tls.Server {
    const { SSL_OP_NO_TICKET, SSL_OP_NO_RENEGOTIATION } = constants;
    return this.#listen(
      nodeTls().createServer({
        ALPNProtocols: [...this.#parts.alpn],
        minVersion: "TLSv1.3",
        ciphers: secretCiphers,
        secureOptions: SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION,
        handshakeTimeout: 0x7fff_ffff,
        pskCallback: (socket, name) => {
          const pending = this.#pendingOf(socket as tls.TLSSocket);
          const key = secrets.get(name);
          if (pending === undefined) return null;
          if (key === undefined) {
            pending.unknownSecret = true;
            return null;
          }
          pending.unknownSecret = false;
          pending.secretName = ++pending.secretsAsked === 1 ? name : undefined;
          return key;
        },
      }),
    );
  }

  #listen(server: tls.Server): tls.Server {
    server.on("secureConnection", (socket) => this.#onSecure(socket));
    server.on("tlsClientError", (error, socket) => {
      const pending = this.#pendingOf(socket);
      const left = codeOf(error) === "ECONNRESET";
      if (pending !== undefined) pending.failure ??= left ? messages.handshakeLeft : explainTls(error);
      pending?.raw.destroy();
    });
    return server;
  }

  #pendingOf(socket: tls.TLSSocket): Pending | undefined {
    return this.#pending.get(describeEnd(socket.remoteAddress, socket.remotePort));
  }

  // --- after a handshake ---

  #onSecure(socket: tls.TLSSocket): void {
    const pending = this.#pendingOf(socket);
    if (pending === undefined) {
      socket.destroy();
      return;
    }
    socket.allowHalfOpen = true;
    pending.settled = true;
    this.#pending.delete(pending.remote);
    pending.ticket?.leave();
    const { identity, refusal, untilMs } = this.#judge(socket, pending);
    const alpn = socket.alpnProtocol || undefined;
    const cipher = socket.getCipher().name;
    const connection = new TlsConnection(socket, pending.raw, {
      kind: "tls",
      confidential: true,
      identity,
      alpn,
      cipher,
    });
    connection.turnedAway = refusal;
    connection.certifiedUntilMs = untilMs;
    connection.secretKey =
      pending.secretName === undefined ? undefined : pending.material.secrets?.get(pending.secretName);
    // Whoever is turned away has proved nothing that could be withdrawn.
    if (refusal === undefined) this.#parts.live.add(connection, pending.material);
    socket.once("close", () => {
      // Once it has spoken, the owner of the connection refuses it, and logs that. Callers check our certificate after TLS has
      // reported success to us.
      if (connection.heard) return;
      const left = refusal ?? messages.leftAfterHandshake;
      this.#refused(pending.remote, pending.unknownSecret ? messages.secretNotKnown : left);
    });
    this.#parts.onConnection(connection);
  }

  /** A certificate that cannot be read is refused: its bytes are those of a stranger. */
  #judge(socket: tls.TLSSocket, pending: Pending): Judged {
    try {
      return this.#judgeReadable(socket, pending);
    } catch (error) {
      return refused(messages.certificateUnreadable(textOf(error)));
    }
  }

  #judgeReadable(socket: tls.TLSSocket, pending: Pending): Judged {
    const certificate = peerCertificate(socket);
    if (pending.secretsAsked > 0) {
      const proved =
        pending.secretName !== undefined && socket.isSessionReused() && certificate === undefined;
      return proved ? { identity: `secret:${pending.secretName}` } : { refusal: messages.secretNotProved };
    }
    const { clientAuth = "none" } = this.#parts.credentials.options;
    if (clientAuth === "none") return {};
    const required = clientAuth === "require";
    if (certificate === undefined) return required ? { refusal: messages.clientCertificateMissing } : {};
    if (!socket.authorized) return refused(explainTls({ code: String(socket.authorizationError) }));
    const { untilMs, refusal } = datesOf(certificate, this.#parts.clock.wallNow());
    if (refusal !== undefined) return refused(refusal);
    const names = subjectNames(certificate);
    const identity = identityOf(names);
    if (hasSpiffeId(names)) {
      if (identity === undefined) return refused(messages.spiffeIdWrong(describeNames(names)));
      const domain = trustDomainOf(identity);
      const { trustDomain } = pending.material;
      if (domain !== trustDomain) return refused(messages.trustDomainWrong(domain, trustDomain));
      return { identity, untilMs };
    }
    if (identity !== undefined) return { identity, untilMs };
    return required ? refused(whyNobody(names)) : {};
  }

  /** Stops new handshakes and ends those in progress. */
  close(): void {
    this.#closed = true;
    this.#silent.close();
    this.#gate.close(messages.providerStopped);
    this.#log.close();
  }
}
