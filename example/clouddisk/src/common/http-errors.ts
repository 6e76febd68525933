import type { FastifyError, FastifyInstance } from "fastify";
import type { Logger } from "mprpc";
import { isPassing } from "./answer.js";
import { Code, httpStatus, Refusal } from "./codes.js";
import { type NodeRedirects, OnNode } from "./nodes.js";

/** What a client is told of an error. */
export interface ErrorReply {
  status: number;
  body: Record<string, unknown> & { code: number; msg: string };
  /** Seconds; undefined: trying again does not help. */
  retryAfterS?: number;
  /** Ours rather than the client's: it is logged with its stack. */
  ours: boolean;
}

export function toErrorReply(error: unknown): ErrorReply {
  if (error instanceof Refusal) {
    const body = { ...error.data, code: error.code, msg: error.message };
    if (error.code === Code.FULL) return diskFull(error.message);
    const ours = error.code === Code.SERVER;
    if (ours) return { status: 503, body, retryAfterS: 1, ours };
    const retryAfterS = error.code === Code.TOO_MANY ? { retryAfterS: 60 } : {};
    return { status: httpStatus(error.code), body, ours, ...retryAfterS };
  }
  if (error instanceof OnNode) {
    const msg = `${error.message}, which is away; try again when it is back`;
    return { status: 503, body: { code: Code.SERVER, msg }, retryAfterS: 5, ours: false };
  }
  if (isPassing(error)) {
    return {
      status: 503,
      body: {
        code: Code.SERVER,
        msg: "a service is not available at the moment; try again in a few seconds",
      },
      retryAfterS: 1,
      ours: true,
    };
  }
  const { code, statusCode, validation, message } = error as Partial<FastifyError>;
  if (code === "ENOSPC" || code === "EDQUOT") {
    return diskFull("the server's disk is full ([clouddisk] data)");
  }
  if (validation !== undefined) {
    return {
      status: 400,
      body: { code: Code.PARAMETER, msg: message ?? "a parameter is wrong" },
      ours: false,
    };
  }
  if (statusCode === 413) {
    return {
      status: 413,
      body: { code: Code.QUOTA, msg: message ?? "the body is too large" },
      ours: false,
    };
  }
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return {
      status: statusCode,
      body: { code: Code.PARAMETER, msg: message ?? "bad request" },
      ours: false,
    };
  }
  return { status: 500, body: { code: Code.SERVER, msg: "the server failed; its log says why" }, ours: true };
}

function diskFull(msg: string): ErrorReply {
  return { status: 507, body: { code: Code.SERVER, msg }, ours: true };
}

export function addErrors(http: FastifyInstance, redirects: NodeRedirects, log: Logger): void {
  http.setErrorHandler(async (thrown, request, reply) => {
    let error: unknown = thrown;
    if (error instanceof OnNode) {
      try {
        const location = await redirects.locationOf(error, request);
        if (location !== undefined) return reply.header("cache-control", "no-store").redirect(location, 307);
      } catch (failure) {
        error = failure;
      }
    }
    const answer = toErrorReply(error);
    if (answer.ours) log.error("request failed", { method: request.method, error });
    if (answer.retryAfterS !== undefined && !reply.hasHeader("retry-after"))
      reply.header("retry-after", String(answer.retryAfterS));
    return reply
      .status(answer.status)
      .type("application/json; charset=utf-8")
      .header("cache-control", "no-store")
      .send(answer.body);
  });
  http.setNotFoundHandler((_request, reply) =>
    reply.status(404).send({ code: Code.NOT_FOUND, msg: "there is no such route" }),
  );
}
