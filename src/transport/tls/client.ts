import type net from "node:net";
import { isIP } from "node:net";
import type tls from "node:tls";
import { type Address, formatAddress } from "../../base/address.js";
import type { Clock } from "../../base/clock.js";
import { PeerTimer } from "../../base/peer-timer.js";
import { textOf } from "../../base/thrown.js";
import { messages } from "../../error/messages.js";
import { openTcpSocket } from "../tcp.js";
import type { Connection, ConnectOptions } from "../transport.js";
import { subjectNames } from "./certificate.js";
import type { KnownSession, TlsCredentials } from "./credentials.js";
import { codeOf, explainTls } from "./explain.js";
import type { LiveConnections } from "./live-connections.js";
import type { TlsMaterial } from "./material.js";
import { nodeTls } from "./node-tls.js";
import { describeNames, matchPeerName } from "./peer-name.js";
import { TlsConnection } from "./tls-connection.js";
import { datesOf, peerCertificate } from "./trust.js";

export interface TlsClientParts {
  readonly credentials: TlsCredentials;
  readonly clock: Clock;
  readonly live: LiveConnections;
}

/** Connects, and proves the other end to be who the caller's configuration expects. Rejects with an `Error` that names the address. */
export async function connectTls(
  address: Address,
  options: ConnectOptions,
  parts: TlsClientParts,
): Promise<Connection> {
  const { clock } = parts;
  const untilMs = clock.now() + options.timeoutMs;
  const raw = await openTcpSocket(address, options, clock);
  // Not 0 ms, so that a new connection has a moment.
  const leftMs = Math.max(1, untilMs - clock.now());
  return await new Handshake(address, raw, options, parts).run(leftMs);
}

type Judged =
  | { readonly identity: string; readonly untilMs?: number; readonly refusal?: undefined }
  | { readonly refusal: string };

class Handshake {
  readonly #where: string;
  readonly #host: string;
  readonly #raw: net.Socket;
  readonly #options: ConnectOptions;
  readonly #parts: TlsClientParts;
  readonly #material: TlsMaterial;
  readonly #place: string;
  /** The session to resume. */
  #known: KnownSession | undefined;

  constructor(address: Address, raw: net.Socket, options: ConnectOptions, parts: TlsClientParts) {
    this.#where = formatAddress(address);
    this.#host = address.host;
    this.#raw = raw;
    this.#options = options;
    this.#parts = parts;
    this.#material = parts.credentials.material;
    this.#place = [
      this.#where,
      options.peerName ?? "",
      options.tlsName ?? "",
      options.alpn?.join() ?? "",
    ].join(" ");
  }

  run(timeoutMs: number): Promise<Connection> {
    const { signal } = this.#options;
    const { clock } = this.#parts;
    return new Promise((resolve, reject) => {
      // A FIN during the handshake ends the connection; afterwards each direction ends separately.
      this.#raw.allowHalfOpen = false;
      const socket = this.#begin();
      let settled = false;
      const settle = (): boolean => {
        if (settled) return false;
        settled = true;
        timer.cancel();
        signal?.removeEventListener("abort", onAbort);
        socket.off("close", onClose);
        return true;
      };
      const fail = (message: string, cause?: unknown): void => {
        if (!settle()) return;
        socket.destroy();
        this.#raw.destroy();
        reject(new Error(message, { cause }));
      };
      const onAbort = (): void => fail(messages.connectGivenUp(this.#where), signal?.reason);
      const onTimeout = (): void => fail(messages.handshakeTimedOutAt(this.#where, this.#options.timeoutMs));
      // The TCP connection keeps the process alive only until it is open, and perhaps nothing but this one is awaited.
      const timer = new PeerTimer(clock, onTimeout, timeoutMs, true);
      const onError = (error: Error): void =>
        fail(messages.handshakeFailed(this.#where, this.#whyFailed(socket, error)), error);
      const onClose = (): void => fail(messages.handshakeFailed(this.#where, messages.closedInHandshake));
      // Keep the first listener: late errors of an abandoned handshake are ignored.
      socket.on("error", onError);
      socket.once("close", onClose);
      socket.once("secureConnect", () => {
        if (settled) return;
        const judged = this.#judge(socket);
        if (judged.refusal !== undefined) {
          fail(messages.handshakeFailed(this.#where, judged.refusal));
          return;
        }
        settle();
        resolve(this.#secured(socket, judged.identity, judged.untilMs));
      });
      if (signal?.aborted) onAbort();
      else signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  #begin(): tls.TLSSocket {
    const { credentials } = this.#parts;
    const { secrets, secretName } = this.#material;
    const common = {
      socket: this.#raw,
      ALPNProtocols: [...(this.#options.alpn ?? [])],
      // Said, or else the variable NODE_TLS_REJECT_UNAUTHORIZED would decide.
      rejectUnauthorized: true,
      // The certificate is checked after the handshake, also for a resumed session.
      checkServerIdentity: () => undefined,
    };
    const key = secretName === undefined ? undefined : secrets?.get(secretName);
    if (secretName !== undefined && key !== undefined) {
      // With a shared key no authority is trusted: a certificate does not prove the key.
      return nodeTls().connect({
        ...common,
        ca: [],
        minVersion: "TLSv1.3",
        ciphers: "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256",
        pskCallback: () => ({ psk: key, identity: secretName }),
      });
    }
    const known = credentials.sessionOf(this.#place);
    this.#known = known;
    const socket = nodeTls().connect({
      ...common,
      secureContext: credentials.clientContext,
      servername: this.#serverName,
      ...(known === undefined ? {} : { session: known.session }),
    });
    const material = this.#material;
    const place = this.#place;
    socket.on("session", (session) => {
      const certificate = this.#certificateOf(socket);
      if (certificate !== undefined) credentials.keepSession(place, { session, certificate }, material);
    });
    return socket;
  }

  #certificateOf(socket: tls.TLSSocket): Buffer | undefined {
    return socket.isSessionReused() ? this.#known?.certificate : peerCertificate(socket);
  }

  /** The name (SNI) by which a proxy, or a provider with several certificates, chooses. */
  get #serverName(): string {
    const { peerName, tlsName } = this.#options;
    const name = [tlsName, peerName, this.#host].find(
      (one) => one !== undefined && /^[A-Za-z0-9_.-]+$/.test(one),
    );
    return name === undefined || isIP(name) > 0 ? "" : name;
  }

  /** The identity of the other end, or why the connection must not be used. */
  #judge(socket: tls.TLSSocket): Judged {
    try {
      return this.#judgeReadable(socket);
    } catch (error) {
      return { refusal: messages.certificateUnreadable(textOf(error)) };
    }
  }

  #judgeReadable(socket: tls.TLSSocket): Judged {
    const { alpn = [] } = this.#options;
    if (alpn.length > 0 && !alpn.includes(socket.alpnProtocol || ""))
      return { refusal: messages.noAlpnOf(alpn.join()) };
    const { secretName } = this.#material;
    if (secretName !== undefined) {
      const proved = socket.isSessionReused() && peerCertificate(socket) === undefined;
      return proved ? { identity: `secret:${secretName}` } : { refusal: messages.secretNotProved };
    }
    if (!socket.authorized) return { refusal: explainTls({ code: String(socket.authorizationError) }) };
    const certificate = this.#certificateOf(socket);
    if (certificate === undefined) return { refusal: messages.certificateMissing };
    const { refusal, untilMs } = datesOf(certificate, this.#parts.clock.wallNow());
    if (refusal !== undefined) return { refusal };
    const names = subjectNames(certificate);
    const wanted = this.#options.peerName ?? this.#host;
    const identity = matchPeerName(names, wanted);
    if (identity === undefined) {
      return {
        refusal: messages.wrongName(wanted, describeNames(names), this.#options.peerName === undefined),
      };
    }
    const { tlsName } = this.#options;
    if (tlsName !== undefined && matchPeerName(names, tlsName) === undefined) {
      return { refusal: messages.wrongRegistryName(tlsName, describeNames(names)) };
    }
    return { identity, untilMs };
  }

  #whyFailed(socket: tls.TLSSocket, error: Error): string {
    const { secretName } = this.#material;
    // A caller with a secret trusts no authority: the other end shows a certificate because it has no such secret.
    const showedCertificate = Boolean(socket.authorizationError);
    if (secretName !== undefined && showedCertificate) return messages.secretNotKnownThere(secretName);
    const code = codeOf(error);
    // Without an answer to the first bytes the other end probably does not speak TLS.
    return code === "ECONNRESET" || code === "EPIPE" ? messages.closedInHandshake : explainTls(error);
  }

  #secured(socket: tls.TLSSocket, identity: string, untilMs: number | undefined): Connection {
    const { name: cipher } = socket.getCipher();
    const alpn = socket.alpnProtocol || undefined;
    socket.allowHalfOpen = true;
    const security = { kind: "tls", confidential: true, identity, alpn, cipher };
    const connection = new TlsConnection(socket, this.#raw, security);
    const { secretName, secrets } = this.#material;
    if (socket.isSessionReused()) connection.certificate = this.#known?.certificate;
    connection.certifiedUntilMs = untilMs;
    connection.secretKey = secretName === undefined ? undefined : secrets?.get(secretName);
    // As with TCP: a call keeps the process alive by its deadline, an idle connection must not.
    socket.unref();
    this.#parts.live.add(connection, this.#material);
    return connection;
  }
}
