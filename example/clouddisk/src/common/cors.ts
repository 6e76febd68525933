import type { FastifyInstance, FastifyRequest } from "fastify";
import type { Settings } from "./settings.js";

const loopback = new Set(["localhost", "127.0.0.1", "[::1]"]);

/** The origin of a URL, undefined for what is none. */
export function originOf(url: string | undefined): URL | undefined {
  if (url === undefined || url === "null" || !URL.canParse(url)) return undefined;
  const parsed = new URL(url);
  return parsed.protocol === "http:" || parsed.protocol === "https:" ? parsed : undefined;
}

/**
 * Whether pages of this origin may talk to the servers of bodies: the gateway's public URL; without one any port of the
 * machine the request went to, loopback by whatever name.
 */
export function isGatewayOrigin(origin: string, hostHeader: string | undefined, settings: Settings): boolean {
  const given = originOf(origin);
  if (given === undefined) return false;
  const gateway = originOf(settings.apigw.publicUrl);
  if (gateway !== undefined) return gateway.origin === given.origin;
  const own = originOf(`http://${hostHeader ?? ""}`);
  if (own === undefined) return false;
  return own.hostname === given.hostname || (loopback.has(own.hostname) && loopback.has(given.hostname));
}

/** Sent here by another node, a browser no longer says from which page. The ticket in the query is right enough. */
function isRedirected({ headers, url }: FastifyRequest): boolean {
  return headers.origin === "null" && new URL(url, "http://node").searchParams.has("ticket");
}

/**
 * Lets the gateway's pages send bodies here with a ticket in `x-ticket`. Never with credentials: a cookie counts for
 * nothing from another origin.
 */
export function addCors(http: FastifyInstance, settings: Settings): void {
  http.addHook("onRequest", (request, reply, done) => {
    const { origin } = request.headers;
    if (origin === undefined) return done();
    reply.header("vary", "Origin");
    if (!isGatewayOrigin(origin, request.host, settings) && !isRedirected(request)) return done();
    reply.headers({
      "access-control-allow-origin": origin,
      "access-control-expose-headers":
        "x-trace-id, content-disposition, content-range, etag, retry-after, content-length",
    });
    if (request.method !== "OPTIONS" || request.headers["access-control-request-method"] === undefined)
      return done();
    reply
      .headers({
        "access-control-allow-methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
        "access-control-allow-headers":
          "x-ticket, content-type, x-trace-id, range, if-range, if-none-match, authorization",
        "access-control-max-age": "600",
      })
      .status(204)
      .send();
  });
}
