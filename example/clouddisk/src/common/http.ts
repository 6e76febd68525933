import type { Socket } from "node:net";
import { constants } from "node:zlib";
import compress from "@fastify/compress";
import cookie from "@fastify/cookie";
import formbody from "@fastify/formbody";
import swagger from "@fastify/swagger";
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import type { Logger } from "mprpc";
import { Code, Refusal } from "./codes.js";
import { addCors } from "./cors.js";
import { addErrors } from "./http-errors.js";
import { NodeRedirects } from "./nodes.js";
import { isSecure } from "./origin.js";
import type { Host } from "./part.js";
import { addRequestChecks } from "./request-checks.js";
import { newTraceId, withTraceId } from "./trace.js";
import { sayProblem } from "./validation.js";

/** Limits of every HTTP server of the cloud disk. Tests shorten the times. */
export interface HttpLimits {
  /** Of a JSON or form body; bodies of files are streamed past it. Default 256 KiB. */
  bodyMaxBytes: number;
  /** For the head of a request, ms. Default 15 s. */
  headersTimeoutMs: number;
  /** For the whole of a JSON or form body, ms. Default 20 s. */
  smallBodyTimeoutMs: number;
  /** How long a body or a reply under way may stand still because of the client, ms. Default 60 s. */
  idleTimeoutMs: number;
  /** How long a connection may wait for its next request, ms. Default 30 s. */
  keepAliveMs: number;
  /** What requests in flight get when the server closes before they are cut off, ms. Default 10 s. */
  drainTimeoutMs: number;
  /** How long a client has to end its side of a connection once ours is ended, ms. Default 2 s. */
  lingerMs: number;
}

const defaults: HttpLimits = {
  bodyMaxBytes: 256 * 1024,
  headersTimeoutMs: 15_000,
  smallBodyTimeoutMs: 20_000,
  idleTimeoutMs: 60_000,
  keepAliveMs: 30_000,
  drainTimeoutMs: 10_000,
  lingerMs: 2_000,
};

/**
 * The HTTP server of a process, not listening yet: traced, logged, limited, with cookies, JSON and form bodies. Whatever a
 * handler throws becomes `{code, msg}`. The body of a request with `Expect: 100-continue` is asked for only once
 * its `onRequest` hooks have let it pass.
 */
export async function createHttp(
  host: Host,
  log: Logger,
  limits: Partial<HttpLimits> = {},
): Promise<FastifyInstance> {
  const { bodyMaxBytes, headersTimeoutMs, ...times } = { ...defaults, ...limits };
  const proxies = host.settings.apigw.trustedProxies;
  const http: FastifyInstance = fastify({
    bodyLimit: bodyMaxBytes,
    connectionTimeout: times.idleTimeoutMs,
    keepAliveTimeout: times.keepAliveMs,
    // A big body may take hours; small ones get a timer of their own below.
    requestTimeout: 0,
    http: { headersTimeout: headersTimeoutMs, connectionsCheckingInterval: Math.min(5000, headersTimeoutMs) },
    forceCloseConnections: "idle",
    trustProxy: proxies.length > 0 ? [...proxies] : false,
    // As proxies are asked; redirects are made of what follows the host.
    rewriteUrl: ({ url = "/" }) => url.replace(/^https?:\/\/[^/?#]*\/?/i, "/"),
    genReqId: (raw) => wellFormed(raw.headers["x-trace-id"]) ?? newTraceId(),
    // strictNumbers would spare infinities (`1e400`) the comparison with a maximum.
    ajv: { customOptions: { coerceTypes: true, removeAdditional: false, strictNumbers: false } },
    schemaErrorFormatter: sayProblem,
    frameworkErrors: (error, _request, reply) => {
      (reply as FastifyReply).code(400).send({ code: Code.PARAMETER, msg: error.message });
    },
    clientErrorHandler: (error, socket) => answerBadRequest(error, socket, times.lingerMs),
  });
  // Schemas of replies describe them in the OpenAPI document; they do not decide what is sent.
  http.setSerializerCompiler(() => (data) => JSON.stringify(data));
  // Nothing takes it, so it is not read.
  http.removeContentTypeParser("text/plain");
  addTracing(http, log);
  addTextCheck(http);
  addTimeouts(http, times);
  addContinue(http);
  addHeaders(http, isSecure(host));
  addErrors(http, new NodeRedirects(host), log);
  addCors(http, host.settings);
  addRequestChecks(http);
  // Of text alone: what users store goes as it is, by ranges of its bytes.
  await http.register(compress, {
    // Of requests; it would take the first bytes of what is streamed past the parsers.
    globalDecompression: false,
    threshold: 1024,
    encodings: ["br", "gzip"],
    customTypes: /^(text\/(?!event-stream)|application\/(json|javascript|manifest\+json)|image\/svg)/,
    brotliOptions: { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } },
  });
  await http.register(cookie);
  await http.register(formbody, { bodyLimit: bodyMaxBytes });
  await http.register(swagger, {
    transform: ({ schema, url, route }) => ({
      schema: { ...schema, operationId: schema?.operationId ?? operationId(String(route.method), url) },
      url,
    }),
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "Cloud disk",
        version: "1",
        license: { name: "MIT", identifier: "MIT" },
        description: "Every reply has a code; 0 and 10000 mean done.",
      },
      servers: [{ url: host.settings.apigw.publicUrl ?? "/" }],
      components: {
        securitySchemes: {
          bearer: { type: "http", scheme: "bearer" },
          cookie: { type: "apiKey", in: "cookie", name: "clouddisk_token" },
          ticket: { type: "apiKey", in: "header", name: "x-ticket" },
        },
      },
    },
  });
  return http;
}

/** `postApiFilesIdRestore` for POST /api/files/:id/restore: routes never share one. */
function operationId(method: string, url: string): string {
  const words = url.split(/[^A-Za-z0-9]+/).filter((word) => word !== "");
  const [verb = ""] = method.toLowerCase().split(",");
  return verb + words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join("");
}

function wellFormed(traceId: string | string[] | undefined): string | undefined {
  return typeof traceId === "string" && /^[A-Za-z0-9_-]{8,64}$/.test(traceId) ? traceId : undefined;
}

/** The path alone: a query may hold tokens and tickets. */
export function pathOf(url: string): string {
  const end = url.search(/[?#]/);
  return end === -1 ? url : url.slice(0, end);
}

function addTracing(http: FastifyInstance, log: Logger): void {
  http.addHook("onRequest", (request, reply, done) => {
    const startMs = performance.now();
    reply.header("x-trace-id", request.id);
    // "close" comes exactly once, also for a client that went away midway.
    reply.raw.once("close", () => {
      const fields = {
        method: request.method,
        path: pathOf(request.url).slice(0, 512),
        status: reply.raw.statusCode,
        elapsedMs: Math.round((performance.now() - startMs) * 10) / 10,
        address: request.ip,
        ...(reply.raw.writableFinished ? {} : { aborted: true }),
      };
      withTraceId(request.id, () => log.info("request", fields));
    });
    withTraceId(request.id, done);
  });
  // Bodies are read in the context of the socket: from here on it is the request's again.
  http.addHook("preValidation", (request, _reply, done) => withTraceId(request.id, done));
}

/** JSON can name halves of characters (`"\\ud83d"`); no other service, and no database, can be told of them. */
function addTextCheck(http: FastifyInstance): void {
  http.addHook("preValidation", (request, _reply, done) => {
    if (!hasHalfCharacter(request.body)) return done();
    done(new Refusal(Code.PARAMETER, "a text of the body is not valid Unicode: it has half of a character"));
  });
}

/** Bodies that are streamed, and files, are none of its business. */
function hasHalfCharacter(body: unknown): boolean {
  // A list of its own: a body of nothing but brackets is deeper than the stack.
  const left: unknown[] = [body];
  while (left.length > 0) {
    const value = left.pop();
    if (typeof value === "string" && /\p{Surrogate}/u.test(value)) return true;
    if (typeof value !== "object" || value === null) continue;
    const plain = Array.isArray(value) || [Object.prototype, null].includes(Object.getPrototypeOf(value));
    if (plain) for (const [key, inner] of Object.entries(value)) left.push(key, inner);
  }
  return false;
}

function isSmallBody(request: FastifyRequest): boolean {
  const type = request.headers["content-type"] ?? "";
  return /^application\/(json|x-www-form-urlencoded)\b/i.test(type);
}

function addTimeouts(
  http: FastifyInstance,
  times: Omit<HttpLimits, "bodyMaxBytes" | "headersTimeoutMs">,
): void {
  http.addHook("onRequest", (request, reply, done) => {
    const { socket } = request.raw;
    // The socket was silent. A server that is still working on a whole request is no reason to end it; a client that does
    // not go on sending or reading is.
    reply.raw.on("timeout", () => {
      if (request.raw.complete && !reply.raw.headersSent) socket.setTimeout(times.idleTimeoutMs);
      else socket.destroy();
    });
    done();
  });
  http.addHook("preParsing", (request, reply, payload, done) => {
    if (isSmallBody(request)) {
      const timer = setTimeout(() => request.raw.socket.destroy(), times.smallBodyTimeoutMs);
      timer.unref();
      const stop = (): void => clearTimeout(timer);
      request.raw.once("end", stop);
      reply.raw.once("close", stop);
    }
    done(null, payload);
  });
  let closing = false;
  http.addHook("preClose", (done) => {
    closing = true;
    const timer = setTimeout(() => http.server.closeAllConnections(), times.drainTimeoutMs);
    http.server.once("close", () => clearTimeout(timer));
    done();
  });
  // A connection whose request was answered while the server closes must not wait for another one.
  http.addHook("onSend", async (_request, reply) => {
    if (closing) reply.header("connection", "close");
  });
}

/** Node would ask for the body at once, and who has no right to send one would have sent it before being told. */
function addContinue(http: FastifyInstance): void {
  const waiting = new WeakSet<object>();
  http.server.on("checkContinue", (request, response) => {
    waiting.add(response);
    http.server.emit("request", request, response);
  });
  http.addHook("preParsing", (_request, reply, payload, done) => {
    if (waiting.delete(reply.raw)) reply.raw.writeContinue();
    done(null, payload);
  });
}

function addHeaders(http: FastifyInstance, secure: boolean): void {
  http.addHook("onRequest", (_request, reply, done) => {
    reply.headers({
      "x-content-type-options": "nosniff",
      "x-frame-options": "DENY",
      "referrer-policy": "no-referrer",
      "cross-origin-resource-policy": "same-site",
      // Pages set their own; everything else, files of users above all, can do nothing in a browser.
      "content-security-policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
      ...(secure ? { "strict-transport-security": "max-age=31536000" } : {}),
    });
    done();
  });
  http.addHook("onSend", async (_request, reply) => {
    if (!reply.hasHeader("cache-control")) reply.header("cache-control", "no-store");
  });
}

/** After a reply without Node's help, which destroys its own: a client that never ends its side would keep half a connection for ever. */
function linger(socket: Socket, lingerMs: number): void {
  const timer = setTimeout(() => socket.destroy(), lingerMs);
  timer.unref();
  socket.once("close", () => clearTimeout(timer));
  // What it still sends is thrown away: unread, it would keep the end from being seen.
  socket.resume();
}

function answerBadRequest(error: NodeJS.ErrnoException, socket: Socket, lingerMs: number): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, msg] =
    error.code === "HPE_HEADER_OVERFLOW"
      ? ["431 Request Header Fields Too Large", "the head of the request is too large"]
      : error.code === "ERR_HTTP_REQUEST_TIMEOUT"
        ? ["408 Request Timeout", "the head of the request did not arrive in time"]
        : ["400 Bad Request", "this is not a valid HTTP request"];
  const body = JSON.stringify({ code: Code.PARAMETER, msg });
  socket.end(
    `HTTP/1.1 ${status}\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
  linger(socket, lingerMs);
}
