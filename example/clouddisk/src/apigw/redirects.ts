import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { tokenOf } from "../common/auth.js";
import { Code, Refusal } from "../common/codes.js";
import { pathOf } from "../common/http.js";
import type { Gateway } from "./gateway.js";

type Kind = "upload" | "download";

const routes: Record<Kind, readonly string[]> = {
  upload: ["/file/upload", "/file/fastupload", "/file/mpupload/*", "/file/mupload/*", "/api/uploads"],
  download: ["/file/download", "/file/downloadurl"],
};

/**
 * When upload or download runs in another process: its routes answer with 307 to where it is, and a ticket in place of the token.
 * The body is not asked for, so that nothing of it passes through here; only a small one that holds the token itself is. What a client
 * sends without being asked is thrown away as it comes: ending the connection would make many of them miss the reply.
 */
export function addRedirects(http: FastifyInstance, gateway: Gateway, kind: Kind): void {
  http.addContentTypeParser("*", (_request, _payload, done) => done(null, undefined));
  for (const url of routes[kind]) {
    http.route({
      url,
      method: ["GET", "POST"],
      config: { changesState: kind === "upload" && url.endsWith("/*") },
      schema: { hide: true },
      onRequest: async (request, reply) => {
        if (request.method === "GET" && url === "/file/upload") return reply.redirect("/", 303);
        if (hasCredentials(request) || !mayHoldToken(request)) return redirect(gateway, kind, request, reply);
      },
      handler: (request, reply) => redirect(gateway, kind, request, reply),
    });
  }
}

function hasCredentials(request: FastifyRequest): boolean {
  if (tokenOf(request) !== undefined || request.headers["x-ticket"] !== undefined) return true;
  return new URLSearchParams(queryOf(request)).has("ticket");
}

function mayHoldToken(request: FastifyRequest): boolean {
  const type = request.headers["content-type"] ?? "";
  return /^application\/(json|x-www-form-urlencoded)\b/i.test(type);
}

function queryOf(request: FastifyRequest): string {
  return request.url.slice(pathOf(request.url).length).replace(/^\?/, "");
}

async function redirect(
  gateway: Gateway,
  kind: Kind,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const user = await gateway.authenticator.user(request, kind);
  const { entry, ticket } = await gateway.entryPoint(kind, user);
  if (entry === "") {
    throw new Refusal(
      Code.SERVER,
      `the ${kind} service names no address; set ${kind}.publicurl where it runs`,
    );
  }
  const query = new URLSearchParams(queryOf(request));
  for (const name of ["token", "username", "ticket"]) query.delete(name);
  query.set("ticket", ticket);
  return reply.redirect(`${entry}${pathOf(request.url)}?${query}`, 307);
}
