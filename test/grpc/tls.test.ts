import { execFile } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import path from "node:path";
import tls from "node:tls";
import { promisify } from "node:util";
import grpc from "@grpc/grpc-js";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { CallContext } from "../../src/call/context.js";
import { RpcChannel } from "../../src/client/channel.js";
import type { TlsOptions } from "../../src/transport/tls/options.js";
import { failure } from "../support/async.js";
import { RecordingLog } from "../support/log.js";
import { Authority, type Issued, secretLine, writeSecret } from "../tls/authority.js";
import { openTransport, temporaryFolder } from "../tls/support.js";
import { eventually } from "../tools/wait.js";
import { InteropService, InteropServiceStub, type StreamResponse } from "./gen/interop.js";
import { GrpcJsCaller, grpcJsServer } from "./grpc-js.js";
import { grpcChannel, interopProvider, tcpRuntime } from "./provider.js";
import { framed } from "./raw.js";

const name = "users.example";
const { emptyCall, unaryCall, streamingOutputCall, streamingInputCall, fullDuplexCall } =
  InteropService.methods;
const bytes = (text: string): Buffer => Buffer.from(text, "latin1");

let ca: Authority;
let stranger: Authority;
let good: Issued;
let caller: Issued;

beforeAll(async () => {
  ca = await Authority.make();
  stranger = await Authority.make("Other Authority");
  good = await ca.issue({ dns: [name], ips: ["127.0.0.1"] });
  caller = await ca.issue({ dns: ["caller.example"] });
});

const server = (): TlsOptions => ({ mode: "required", cert: good.cert, key: good.key });
const mutual = (): TlsOptions => ({ ...server(), ca: ca.cert, clientAuth: "require" });
const client = (): TlsOptions => ({ ca: ca.cert, peerName: name });

/** A provider behind TLS; who called it, in which protocol, in the order of the calls of `emptyCall`. */
async function securedProvider(options: TlsOptions) {
  const log = new RecordingLog();
  const callers: Array<readonly [protocol: string, identity: string | undefined]> = [];
  const emptyCall = (_request: unknown, { peer }: CallContext) => {
    callers.push([peer.protocol, peer.identities.transport]);
    return {};
  };
  const parts = { transport: openTransport(options, log), log };
  const { port, target } = await interopProvider({ emptyCall }, {}, parts);
  return { port, target, log, callers };
}

/** Calls `target` with the library of others, behind TLS. */
function grpcJs(target: string, credentials = grpc.credentials.createSsl(bytes(ca.cert))): GrpcJsCaller {
  return new GrpcJsCaller(target, {}, credentials);
}

/** A stub of a channel of ours, which speaks gRPC to the port. */
function ours(port: number, options: TlsOptions): InteropServiceStub {
  return new InteropServiceStub(grpcChannel(port, {}, "", { transport: openTransport(options) }));
}

async function sizesOf(stream: AsyncIterable<StreamResponse>): Promise<number[]> {
  const found: number[] = [];
  for await (const { payload } of stream) found.push(payload?.body.length ?? 0);
  return found;
}

const warned = (log: RecordingLog, expected: RegExp) =>
  eventually(`a warning like ${expected}`, async () => expected.test(log.at("warn").join("\n")));

describe("@grpc/grpc-js calls a provider behind TLS", () => {
  test("with all four kinds, on the port that answers mprpc callers too", async () => {
    const { target, port, callers } = await securedProvider(server());
    const their = grpcJs(target);
    expect((await their.unary(emptyCall, {})).code).toBe(grpc.status.OK);
    const large = { responseSize: 314_159, payload: { body: Buffer.alloc(271_828) } };
    const [reply] = (await their.unary(unaryCall, large)).replies;
    expect((reply as { payload: { body: Buffer } }).payload.body.length).toBe(314_159);
    const upload = their.clientStream(streamingInputCall);
    for (const size of [1, 70_000, 3]) upload.call.write({ payload: { body: Buffer.alloc(size) } });
    upload.call.end();
    expect((await upload.outcome).replies).toMatchObject([{ aggregatedPayloadSize: 70_004 }]);
    const download = their.serverStream(streamingOutputCall, { responseSizes: [1, 70_000, 3] });
    expect((await download.outcome).replies).toHaveLength(3);
    const both = their.bidi(fullDuplexCall);
    both.call.write({ responseSizes: [1, 2] });
    both.call.end();
    expect(await both.outcome).toMatchObject({ code: grpc.status.OK, replies: [{}, {}] });

    const app = tcpRuntime({}, `static://127.0.0.1:${port}`, { transport: openTransport(client()) });
    await using channel = new RpcChannel(app);
    await new InteropServiceStub(channel).emptyCall({});
    expect(callers).toEqual([
      ["grpc", undefined],
      ["mprpc", undefined],
    ]);
  });

  test("with a certificate of its own, whose name its handlers see", async () => {
    const { target, callers } = await securedProvider(mutual());
    const own = grpc.credentials.createSsl(bytes(ca.cert), bytes(caller.key), bytes(caller.cert));
    expect((await grpcJs(target, own).unary(emptyCall, {})).code).toBe(grpc.status.OK);
    expect(callers).toEqual([["grpc", "dns:caller.example"]]);
  });

  test("without the certificate that is asked for, or with one of strangers: refused, and the log says why", async () => {
    const { target, port, log, callers } = await securedProvider(mutual());
    expect((await grpcJs(target).unary(emptyCall, {})).code).toBe(grpc.status.UNAVAILABLE);
    await warned(log, /the caller shows no certificate, and one is needed/);
    const { key, cert } = await stranger.issue({ dns: ["caller.example"] });
    const wrong = grpc.credentials.createSsl(bytes(ca.cert), bytes(key), bytes(cert));
    expect((await grpcJs(target, wrong).unary(emptyCall, {})).code).toBe(grpc.status.UNAVAILABLE);
    await warned(log, /the caller's certificate is not accepted: .*no authority that is trusted here/);
    // A call that comes with the first bytes of its connection is not served either.
    const error = await failure(ours(port, client()).emptyCall({}));
    expect(error).toMatchObject({ code: 14, executed: "never" });
    expect(error.rawMessage).toContain("turned the caller away: the caller shows no certificate");
    expect(callers).toEqual([]);
  });

  test("that it does not trust: its error and our log say so", async () => {
    const { target, log } = await securedProvider(server());
    const theirs = grpc.credentials.createSsl(bytes(stranger.cert));
    const { code, text } = await grpcJs(target, theirs).unary(emptyCall, {});
    expect(code).toBe(grpc.status.UNAVAILABLE);
    expect(text).toMatch(/certificate/);
    await warned(log, /tls.ca, tls.peername/);
  });

  test("in clear where the port takes both, and nowhere else", async () => {
    const both = await securedProvider({ ...server(), mode: "optional" });
    expect((await new GrpcJsCaller(both.target).unary(emptyCall, {})).code).toBe(grpc.status.OK);
    expect((await grpcJs(both.target).unary(emptyCall, {})).code).toBe(grpc.status.OK);
    await new InteropServiceStub(grpcChannel(both.port)).emptyCall({});
    await ours(both.port, client()).emptyCall({});
    expect(both.callers.map(([protocol]) => protocol)).toEqual(["grpc", "grpc", "grpc", "grpc"]);

    const secured = await securedProvider(server());
    const inClear = await new GrpcJsCaller(secured.target).unary(emptyCall, {});
    expect(inClear.code).toBe(grpc.status.UNAVAILABLE);
    await warned(secured.log, /this port speaks TLS only, and the caller spoke in clear/);
    const error = await failure(new InteropServiceStub(grpcChannel(secured.port)).emptyCall({}));
    expect(error).toMatchObject({ code: 14, executed: "never" });
    expect(error.rawMessage).toContain("this port speaks TLS only");
    expect(secured.callers).toEqual([]);
  });
});

describe("a channel calls a server of @grpc/grpc-js behind TLS", () => {
  const handlers: grpc.UntypedServiceImplementation = {
    emptyCall: (_call: unknown, done: grpc.sendUnaryData<unknown>) => done(null, {}),
    streamingOutputCall(call: grpc.ServerWritableStream<{ responseSizes: number[] }, unknown>) {
      for (const size of call.request.responseSizes) call.write({ payload: { body: Buffer.alloc(size) } });
      call.end();
    },
  };
  const credentials = (root: string | undefined, own = good): grpc.ServerCredentials =>
    grpc.ServerCredentials.createSsl(
      root === undefined ? null : bytes(root),
      [{ private_key: bytes(own.key), cert_chain: bytes(own.cert) }],
      root !== undefined,
    );

  test("unary and streamed", async () => {
    const { port } = await grpcJsServer(InteropService, handlers, {}, credentials(undefined));
    const stub = ours(port, client());
    expect(await stub.emptyCall({})).toEqual({});
    expect(await sizesOf(stub.streamingOutputCall({ responseSizes: [1, 70_000, 3] }))).toEqual([
      1, 70_000, 3,
    ]);
  });

  test("that wants a certificate: ours is shown, and without one the call says what is missing", async () => {
    const names: unknown[] = [];
    const emptyCall = (call: grpc.ServerUnaryCall<unknown, unknown>, done: grpc.sendUnaryData<unknown>) => {
      names.push(call.getAuthContext().sslPeerCertificate?.subjectaltname);
      done(null, {});
    };
    const { port } = await grpcJsServer(InteropService, { emptyCall }, {}, credentials(ca.cert));
    await ours(port, { ...client(), cert: caller.cert, key: caller.key }).emptyCall({});
    expect(names).toEqual(["DNS:caller.example"]);
    const error = await failure(ours(port, client()).emptyCall({}, { timeoutMs: 2000 }));
    // A server of Node.js hangs up without saying why.
    expect(error.rawMessage).toContain(
      "perhaps it wants a certificate of ours, or another one (tls.cert, tls.key)",
    );
  });

  test("whose certificate is not trusted, or of another name: the call says so", async () => {
    const { port } = await grpcJsServer(InteropService, handlers, {}, credentials(undefined));
    const untrusted = await failure(ours(port, { ...client(), ca: stranger.cert }).emptyCall({}));
    expect(untrusted).toMatchObject({ code: 14, executed: "never" });
    expect(untrusted.rawMessage).toContain("no authority that is trusted here (tls.ca)");
    const other = await failure(ours(port, { ...client(), peerName: "other.example" }).emptyCall({}));
    expect(other.rawMessage).toContain("other.example is expected (tls.peername)");
  });

  test("that speaks in clear: nothing is sent, and the call says so", async () => {
    const { port } = await grpcJsServer(InteropService, handlers);
    const error = await failure(ours(port, client()).emptyCall({}));
    expect(error).toMatchObject({ code: 14, executed: "never" });
    expect(error.rawMessage).toMatch(/speaks in clear|perhaps it speaks no TLS/);
  });
});

describe("secrets instead of certificates", () => {
  const lines = (...names: string[]): string => `${names.map(secretLine).join("\n")}\n`;

  test("prove a gRPC caller to a provider, and the other way round", async () => {
    const secrets = lines("apigw");
    const { port, callers } = await securedProvider({ mode: "required", secrets });
    await ours(port, { secrets }).emptyCall({});
    expect(callers).toEqual([["grpc", "secret:apigw"]]);
  });

  test("that differ fail the call, and both sides say why", async () => {
    const { port, log, callers } = await securedProvider({ mode: "required", secrets: lines("apigw") });
    const error = await failure(ours(port, { secrets: lines("apigw") }).emptyCall({}));
    expect(error.rawMessage).toContain("different keys of this secret (auth.secrets)");
    await warned(log, /different keys of this secret \(auth.secrets\)/);
    await failure(ours(port, { secrets: lines("other") }).emptyCall({}));
    await warned(log, /a secret that is not in auth.secrets here/);
    expect(callers).toEqual([]);
  });
});

/** A server of `node:http2` that answers each call with an empty message, and what its requests said. */
async function nodeHttp2Server(): Promise<{ port: number; requests: http2.IncomingHttpHeaders[] }> {
  const requests: http2.IncomingHttpHeaders[] = [];
  const secure = http2.createSecureServer({ cert: good.cert, key: good.key });
  const sessions = new Set<http2.ServerHttp2Session>();
  secure.on("session", (session) => sessions.add(session));
  secure.on("stream", (stream, headers) => {
    requests.push(headers);
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.end(framed());
  });
  secure.listen(0, "127.0.0.1");
  await once(secure, "listening");
  onTestFinished(() => {
    for (const session of sessions) session.destroy();
    secure.close();
  });
  return { port: (secure.address() as AddressInfo).port, requests };
}

test("a request behind TLS says :scheme https, and one in clear http", async () => {
  const { port, requests } = await nodeHttp2Server();
  await ours(port, client()).emptyCall({});
  expect(requests).toMatchObject([
    { ":scheme": "https", ":method": "POST", ":path": "/interop.InteropService/EmptyCall", te: "trailers" },
  ]);
});

test("node:http2 calls a provider, whether TLS has agreed on h2 or on nothing", async () => {
  const { port } = await securedProvider(server());
  for (const alpn of [["h2"], []]) {
    const session = http2.connect(`https://127.0.0.1:${port}`, {
      createConnection: () => tls.connect({ host: "127.0.0.1", port, ca: ca.cert, ALPNProtocols: alpn }),
    });
    onTestFinished(() => session.destroy());
    const stream = session.request({
      ...{ ":method": "POST", ":path": "/interop.InteropService/EmptyCall" },
      ...{ te: "trailers", "content-type": "application/grpc" },
    });
    const trailers = once(stream, "trailers");
    stream.resume().end(framed());
    expect((await trailers)[0]).toMatchObject({ "grpc-status": "0" });
  }
});

describe("what TLS agrees on (ALPN)", () => {
  /** A TLS server that agrees on what is given. Returns its port. */
  async function tlsServer(alpn: string[] | undefined): Promise<number> {
    const options = {
      cert: good.cert,
      key: good.key,
      ...(alpn === undefined ? {} : { ALPNProtocols: alpn }),
    };
    const listener = tls.createServer(options, (socket) => socket.on("error", () => {}));
    listener.listen(0, "127.0.0.1");
    await once(listener, "listening");
    onTestFinished(() => void listener.close());
    return (listener.address() as AddressInfo).port;
  }

  test.each([
    ["only http/1.1", ["http/1.1"]],
    ["nothing", undefined],
  ])("a server that knows %s gets no call, and the call says why", async (_name, alpn) => {
    const error = await failure(ours(await tlsServer(alpn), client()).emptyCall({}));
    expect(error).toMatchObject({ code: 14, executed: "never" });
    expect(error.rawMessage).toContain("(ALPN)");
  });

  test("a caller that agreed on http/1.1, or on nothing, and speaks it is told what is served", async () => {
    const { port } = await securedProvider(server());
    for (const alpn of [["http/1.1"], []]) {
      const socket = tls.connect({ host: "127.0.0.1", port, ca: ca.cert, ALPNProtocols: alpn });
      await once(socket, "secureConnect");
      expect(socket.alpnProtocol).toBe(alpn[0] ?? false);
      let answer = "";
      socket.on("data", (chunk: Buffer) => {
        answer += chunk.toString("latin1");
      });
      socket.end("POST /interop.InteropService/EmptyCall HTTP/1.1\r\nhost: users.example\r\n\r\n");
      await once(socket, "close");
      expect(answer).toMatch(/^HTTP\/1.1 505 /);
      expect(answer).toContain("gRPC over HTTP/2");
    }
  });
});

test("curl agrees on h2 with a provider, and gets the status in the trailers", async () => {
  const { port } = await securedProvider(server());
  const folder = temporaryFolder();
  const root = writeSecret(folder, "ca.pem", ca.cert);
  const body = path.join(folder, "body");
  writeFileSync(body, framed());
  const curl = (...more: string[]) =>
    promisify(execFile)("curl", [
      ...[
        "--silent",
        "--show-error",
        "--max-time",
        "20",
        "--noproxy",
        "*",
        "--cacert",
        root,
        "--dump-header",
        "-",
      ],
      ...[
        "--header",
        "content-type: application/grpc",
        "--header",
        "te: trailers",
        "--data-binary",
        `@${body}`,
      ],
      ...["--resolve", `${name}:${port}:127.0.0.1`, "--output", path.join(folder, "reply"), ...more],
      `https://${name}:${port}/interop.InteropService/EmptyCall`,
    ]);
  const { stdout } = await curl("--http2");
  expect(stdout).toMatch(/^HTTP\/2 200/);
  expect(stdout).toMatch(/grpc-status: 0/);
  expect((await curl("--http1.1")).stdout).toMatch(/^HTTP\/1.1 505 /);
});
