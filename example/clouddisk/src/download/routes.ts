import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import Type, { type Static } from "typebox";
import { Authenticator } from "../common/auth.js";
import { Code, Refusal } from "../common/codes.js";
import { flag } from "../common/flag.js";
import { contentDisposition } from "../common/names.js";
import { publicOrigin } from "../common/origin.js";
import type { Host } from "../common/part.js";
import { addRateLimits } from "../common/rate-limits.js";
import type { Tickets } from "../common/tickets.js";
import type { EntryRow } from "../dbproxy/actions.js";
import { select } from "./conditions.js";
import { previewType } from "./media-types.js";
import { type ContentSource, NotNow } from "./source.js";

const hash = Type.String({
  pattern: "^[0-9a-fA-F]{64}$",
  description: "SHA-256 of the content, 64 hex digits",
});
const which = {
  id: Type.Optional(
    Type.Integer({ minimum: 1, description: "the entry, when the content has several names" }),
  ),
  filename: Type.Optional(Type.String({ description: "the name to take, when the content has several" })),
  inline: Type.Optional(flag),
};
const legacy = { username: Type.Optional(Type.String()), token: Type.Optional(Type.String()) };
const DownloadQuery = Type.Object({
  filehash: Type.Optional(hash),
  ticket: Type.Optional(Type.String({ description: "of a signed URL, in place of filehash and token" })),
  ...which,
  ...legacy,
});
const UrlBody = Type.Object({ filehash: hash, ...which, ...legacy });

const security = [{ bearer: [] }, { cookie: [] }, { ticket: [] }];
const outcome = { code: Type.Integer(), msg: Type.String() };
const refusal = Type.Object(outcome, { description: "code says why; see the table of codes" });
const bytesOf = (what: string) => ({
  description: what,
  content: { "application/octet-stream": { schema: { type: "string", format: "binary" } } },
});

type DownloadQuery = Static<typeof DownloadQuery>;

/** What is sent, and under which name. */
interface Wanted {
  fileHash: string;
  fileName: string;
  inline: boolean;
}

interface Which {
  id?: number;
  filename?: string;
}

export interface DownloadRoutes {
  host: Host;
  source: ContentSource;
  tickets: Tickets;
}

/** The user's entry with this content; throws Refusal (10007) when there is none outside of the trash. */
async function heldEntry(
  host: Host,
  userId: number,
  fileHash: string,
  { id, filename }: Which,
): Promise<EntryRow> {
  const { entry } = await host.database.run("entry.byHash", {
    userId,
    fileHash,
    ...(id === undefined ? {} : { id }),
    ...(filename === undefined ? {} : { name: filename }),
  });
  if (entry === null) throw new Refusal(Code.NOT_FOUND, "you have no such file");
  return entry;
}

export async function addDownloadRoutes(http: FastifyInstance, routes: DownloadRoutes): Promise<void> {
  const { host } = routes;
  const authenticator = new Authenticator(host);
  /** A signed URL's is who made it. */
  const userOf = async (request: FastifyRequest): Promise<number> => {
    const { ticket, filehash } = request.query as DownloadQuery;
    if (ticket === undefined || filehash !== undefined || request.method === "POST")
      return (await authenticator.user(request, "download")).userId;
    return (await authenticator.ticket(ticket, "file")).userId;
  };
  await http.register(async (limited) => {
    const max = host.settings.download.requestsPerMinute;
    await addRateLimits(limited, { max, key: "download.requestsperminute", userOf, withoutUser: [] });
    addFileRoute(limited, routes, authenticator);
    addUrlRoute(limited, routes, authenticator);
  });
}

function addFileRoute(
  http: FastifyInstance,
  { host, source }: DownloadRoutes,
  authenticator: Authenticator,
): void {
  /** A signed URL names a file; everybody else shows who asks. Either way the user must hold the file now. */
  async function wanted(request: FastifyRequest<{ Querystring: DownloadQuery }>): Promise<Wanted> {
    const { filehash, ticket } = request.query;
    // For a preview, instead of a file to save.
    const inline = Boolean(request.query.inline);
    if (ticket !== undefined && filehash === undefined) {
      const { userId, fileHash = "", fileName = "" } = await authenticator.ticket(ticket, "file");
      await heldEntry(host, userId, fileHash, {});
      return { fileHash, fileName, inline };
    }
    const { userId } = await authenticator.user(request, "download");
    if (filehash === undefined) throw new Refusal(Code.PARAMETER, "filehash is missing");
    const fileHash = filehash.toLowerCase();
    const entry = await heldEntry(host, userId, fileHash, request.query);
    return { fileHash, fileName: entry.name, inline };
  }

  type Download = FastifyRequest<{ Querystring: DownloadQuery }>;
  const download = async (request: Download, reply: FastifyReply) =>
    send(source, request, reply, await wanted(request));
  http.route<{ Querystring: DownloadQuery }>({
    method: "HEAD",
    url: "/file/download",
    compress: false,
    schema: { hide: true, querystring: DownloadQuery },
    handler: download,
  });
  http.route<{ Querystring: DownloadQuery }>({
    method: "GET",
    url: "/file/download",
    compress: false,
    schema: {
      tags: ["download"],
      summary:
        "The bytes of a file. Range, If-Range, If-Match and If-None-Match are understood; the ETag is the hash.",
      querystring: DownloadQuery,
      security: [...security, {}],
      response: {
        200: bytesOf("the file"),
        206: bytesOf("a range of it"),
        304: { type: "null", description: "it is what If-None-Match has" },
        "4xx": refusal,
        "5xx": refusal,
      },
    },
    handler: download,
    exposeHeadRoute: false,
  });
}

function addUrlRoute(
  http: FastifyInstance,
  { host, tickets }: DownloadRoutes,
  authenticator: Authenticator,
): void {
  http.route<{ Body: Static<typeof UrlBody> }>({
    method: "POST",
    url: "/file/downloadurl",
    schema: {
      tags: ["download"],
      summary: "A URL for one file that needs no token and expires.",
      body: UrlBody,
      security,
      response: {
        200: Type.Object({
          ...outcome,
          url: Type.String(),
          data: Type.Object({ url: Type.String(), expiresAtMs: Type.Integer() }),
        }),
        "4xx": refusal,
      },
    },
    handler: async (request) => {
      const { userId, username, session } = await authenticator.user(request, "download");
      const { inline } = request.body;
      const fileHash = request.body.filehash.toLowerCase();
      const { name: fileName } = await heldEntry(host, userId, fileHash, request.body);
      const expiresAtMs = Date.now() + host.settings.download.urlTtlMs;
      const ticket = await tickets.sign({
        kind: "file",
        userId,
        username,
        expiresAtMs,
        session,
        fileHash,
        fileName,
      });
      const base = publicOrigin(host, request, "download");
      const url = `${base}/file/download?ticket=${ticket}${inline ? "&inline=1" : ""}`;
      return { code: Code.DONE, msg: "ok", url, data: { url, expiresAtMs } };
    },
  });
}

async function send(
  source: ContentSource,
  request: FastifyRequest,
  reply: FastifyReply,
  { fileHash, fileName, inline }: Wanted,
): Promise<FastifyReply> {
  const content = await source.find(fileHash);
  const { sizeBytes } = content;
  const etag = `"${fileHash}"`;
  const { headers, method } = request;
  const selection = select(
    {
      method,
      range: headers.range,
      ifRange: one(headers["if-range"]),
      ifMatch: headers["if-match"],
      ifNoneMatch: headers["if-none-match"],
    },
    etag,
    sizeBytes,
  );
  reply.headers({
    etag,
    "accept-ranges": "bytes",
    // Whoever has it may keep it, and asks whether it is still theirs.
    "cache-control": "private, no-cache",
    "content-disposition": contentDisposition(fileName, inline ? "inline" : "attachment"),
    "content-type": inline ? previewType(fileName) : "application/octet-stream",
  });
  reply.code(selection.status);
  if (selection.status === 304) return reply.send();
  if (selection.status === 412 || selection.status === 416) reply.removeHeader("content-disposition");
  if (selection.status === 412) {
    return reply.type("application/json").send({ code: Code.CONFLICT, msg: "the content has another tag" });
  }
  if (selection.status === 416) {
    reply.header("content-range", `bytes */${sizeBytes}`);
    return reply
      .type("application/json")
      .send({ code: Code.PARAMETER, msg: `the range is beyond the ${sizeBytes} bytes of the file` });
  }
  const { range } = selection;
  reply.header("content-length", range === undefined ? sizeBytes : range.end - range.start + 1);
  if (range !== undefined) reply.header("content-range", `bytes ${range.start}-${range.end}/${sizeBytes}`);
  if (method === "HEAD" || sizeBytes === 0)
    return reply.send(method === "HEAD" ? undefined : Buffer.alloc(0));
  try {
    // An error midway destroys the connection: the client sees that something is missing.
    const bytes = await source.read(content, range);
    // What is saved shows nothing, framed or not; the page's frames of large files would be refused by the letter of HTML.
    if (!inline) {
      reply.removeHeader("x-frame-options").header("content-security-policy", "default-src 'none'; sandbox");
    }
    return reply.send(bytes);
  } catch (error) {
    for (const name of ["etag", "accept-ranges", "content-disposition", "content-length", "content-range"]) {
      reply.removeHeader(name);
    }
    if (!(error instanceof NotNow)) throw error;
    return reply
      .code(503)
      .headers({
        "retry-after": "2",
        "content-type": "application/json; charset=utf-8",
        "cache-control": "no-store",
      })
      .send({ code: Code.SERVER, msg: error.message });
  }
}

function one(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}
