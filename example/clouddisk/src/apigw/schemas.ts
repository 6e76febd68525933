import type { FastifySchema, RouteShorthandOptions } from "fastify";
import Type, { type TSchema } from "typebox";
import { flag } from "../common/flag.js";

/** The shapes of the gateway's requests and replies: those of `/api` are checked, all are in `/openapi.json`. */

const signedIn = [{ bearer: [] }, { cookie: [] }];
const time = Type.Integer({ description: "milliseconds since 1970" });
const outcome = { code: Type.Integer(), msg: Type.String() };
export const refusal = Type.Object(outcome, { description: "code says why; see the table of codes" });

const entry = Type.Object({
  id: Type.Integer(),
  parentId: Type.Integer({ description: "0: the top" }),
  name: Type.String(),
  folder: Type.Boolean(),
  fileHash: Type.String({ description: "SHA-256, hex; empty for a folder" }),
  sizeBytes: Type.Integer(),
  createdAtMs: time,
  updatedAtMs: time,
  trashedAtMs: Type.Integer({ description: "0: not in the trash" }),
  state: Type.String({ description: "local, storing, stored, failed; empty for a folder" }),
  path: Type.String({ description: "the folders above it, for a search and in the trash" }),
});
const legacyFile = Type.Object({
  UserName: Type.String(),
  FileHash: Type.String(),
  FileName: Type.String(),
  FileSize: Type.Integer(),
  UploadAt: Type.String({ description: "2026-01-31 12:00:00, UTC" }),
  LastUpdated: Type.String(),
});

function replies(properties: Record<string, TSchema>): Record<string, TSchema> {
  return { 200: Type.Object({ ...outcome, ...properties }), "4xx": refusal };
}

const integer = (min: number, max = Number.MAX_SAFE_INTEGER) => Type.Integer({ minimum: min, maximum: max });
const idParams = Type.Object({ id: integer(1) });
const name = Type.String({ description: "1 to 255 bytes of UTF-8; no / \\ or control characters" });
const batchIds = Type.Array(integer(1), { minItems: 1, maxItems: 1000 });

export const bodies = {
  folder: Type.Object({ parentId: integer(0), name, reuse: Type.Optional(Type.Boolean()) }),
  change: Type.Union([
    Type.Object({ name }, { additionalProperties: false }),
    Type.Object({ parentId: integer(0) }, { additionalProperties: false }),
  ]),
  list: Type.Object({
    parent: Type.Optional(integer(0)),
    q: Type.Optional(Type.String({ maxLength: 255 })),
    trashed: Type.Optional(flag),
    sort: Type.Optional(Type.Union([Type.Literal("name"), Type.Literal("size"), Type.Literal("updated")])),
    desc: Type.Optional(flag),
    limit: Type.Optional(integer(1, 1000)),
    cursor: Type.Optional(Type.String({ maxLength: 1024 })),
  }),
  id: idParams,
  events: Type.Object({
    after: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: Number.MAX_SAFE_INTEGER,
        description: "the id of the last event that was seen; Last-Event-ID counts first",
      }),
    ),
  }),
  batch: Type.Object({ ids: batchIds }),
  batchMove: Type.Object({ ids: batchIds, parentId: integer(0) }),
};

/** Deleting goes on in the background after a few seconds. */
const purging = {
  deleted: Type.Integer({ description: "files and folders gone by now, those inside folders too" }),
  left: Type.Integer({ description: "those still to go, without a further request; 0: all done" }),
};
const batchResults = {
  results: Type.Array(
    Type.Object({
      id: Type.Integer(),
      code: Type.Integer({ description: "0: done; else why not, as for a single one" }),
      msg: Type.String(),
      entry: Type.Optional(entry),
    }),
    { description: "in the order of the ids" },
  ),
};

const tagged = (tag: string, summary: string, schema: FastifySchema): FastifySchema => ({
  tags: [tag],
  summary,
  ...schema,
});
const file = (summary: string, schema: FastifySchema) => ({
  schema: tagged("files", summary, { security: signedIn, ...schema }),
});

/** Of `/api`: parameters are checked against them. */
export const checkedBy = {
  me: {
    schema: tagged("session", "Who is signed in, and where bodies go", {
      security: signedIn,
      response: replies({
        user: Type.Object({
          username: Type.String(),
          signupAtMs: time,
          quotaBytes: Type.Integer(),
          usedBytes: Type.Integer(),
          operator: Type.Boolean({ description: "who sees the services, and makes users" }),
        }),
        uploadEntry: Type.String({ description: "empty: this origin" }),
        uploadTicket: Type.String({ description: "for x-ticket there" }),
        downloadEntry: Type.String(),
        downloadTicket: Type.String(),
      }),
    }),
  },
  events: {
    schema: tagged("files", "What changes among the user's files and uploads, as it happens", {
      security: signedIn,
      description: [
        "Server-sent events. `ready` begins, or `reload`: what happened since the id given is not known any more, load everything again.",
        "`entry`: `{change, atMs, entry: {id, parentId, fromParentId, name, folder}}`, with change added, renamed, moved, trashed,",
        "restored or deleted; what is in a folder goes with it. `upload`: `{atMs, upload: {id, parentId, name, sizeBytes, partsDone,",
        "partCount, state}}`, with state open, done or cancelled. `signedOut` is the last one. A comment every 15 s.",
      ].join(" "),
      querystring: bodies.events,
      headers: Type.Object({
        "last-event-id": Type.Optional(
          Type.String({ description: "as browsers send it when they come back" }),
        ),
      }),
      response: {
        200: { description: "the events", content: { "text/event-stream": { schema: Type.String() } } },
        "4xx": refusal,
      },
    }),
  },
  signupPolicy: {
    schema: tagged("session", "Whether anybody may sign up", {
      security: [],
      response: replies({
        open: Type.Boolean({ description: "false: the operator makes users" }),
        contact: Type.String({ description: "who is asked for an account then; empty: not said" }),
      }),
    }),
  },
  signout: {
    schema: tagged("session", "Ends the session of the token", { security: signedIn, response: replies({}) }),
  },
  list: file("A page of a folder, of the trash, or of what a search finds", {
    querystring: bodies.list,
    response: replies({
      entries: Type.Array(entry),
      nextCursor: Type.String({ description: "empty: the last page" }),
      total: Type.Integer({ description: "of a search in more than 30,000 names: what was found so far" }),
      parents: Type.Array(entry),
    }),
  }),
  createFolder: file("Makes a folder", { body: bodies.folder, response: replies({ entry }) }),
  change: file("Renames or moves", { params: idParams, body: bodies.change, response: replies({ entry }) }),
  trash: file("Puts into the trash", { params: idParams, response: replies({ entry }) }),
  restore: file("Takes out of the trash", { params: idParams, response: replies({ entry }) }),
  remove: file("Deletes for good what is in the trash", {
    params: idParams,
    response: replies(purging),
  }),
  emptyTrash: file("Deletes all that is in the trash", { response: replies(purging) }),
  batch: {
    trash: file("Puts many into the trash", { body: bodies.batch, response: replies(batchResults) }),
    restore: file("Takes many out of the trash", { body: bodies.batch, response: replies(batchResults) }),
    move: file("Moves many into a folder", { body: bodies.batchMove, response: replies(batchResults) }),
    delete: file("Deletes many for good, of what is in the trash", {
      body: bodies.batch,
      response: replies({ ...batchResults, ...purging }),
    }),
  },
  services: {
    schema: tagged(
      "service",
      "Which instances the registry lists, and which of them answer; for the operator",
      {
        security: signedIn,
        response: replies({
          services: Type.Array(
            Type.Object({
              service: Type.String(),
              instances: Type.Array(Type.Object({ address: Type.String(), healthy: Type.Boolean() })),
            }),
          ),
        }),
      },
    ),
  },
  health: {
    schema: tagged("service", "Whether this process serves", { security: [], response: replies({}) }),
  },
};

/** Routes of the course projects take a parameter from body or query, so that `Parameters` checks it, not the schema. */
function legacy(
  tag: string,
  summary: string,
  body: Record<string, TSchema>,
  reply: TSchema,
  security: ReadonlyArray<Record<string, string[]>> = signedIn,
) {
  return {
    schema: tagged(tag, summary, {
      consumes: ["application/json", "application/x-www-form-urlencoded"],
      security: [...security],
      body: Type.Object(body),
      response: { 200: reply, "4xx": refusal },
    }),
    validatorCompiler: () => () => true,
  } satisfies RouteShorthandOptions;
}

const credentials = {
  username: Type.String({ description: "3 to 64 letters, digits, dots, underscores, hyphens" }),
  password: Type.String({ minLength: 5, maxLength: 128 }),
};
const legacyAuth = {
  username: Type.Optional(Type.String()),
  token: Type.Optional(Type.String({ description: "or Authorization: Bearer, or the cookie" })),
};

export const documented = {
  signup: legacy(
    "session",
    "Makes a user; where sign-up is closed, for the operator",
    credentials,
    Type.Object(outcome),
    [{}, ...signedIn],
  ),
  signin: legacy(
    "session",
    "Opens a session",
    credentials,
    Type.Object({
      ...outcome,
      data: Type.Object({
        Location: Type.String(),
        Username: Type.String(),
        Token: Type.String(),
        UploadEntry: Type.String(),
        DownloadEntry: Type.String(),
      }),
    }),
    [],
  ),
  userInfo: legacy(
    "session",
    "Facts about the user",
    legacyAuth,
    Type.Object({
      ...outcome,
      data: Type.Object({ Username: Type.String(), SignupAt: Type.String(), LastActive: Type.String() }),
    }),
  ),
  fileQuery: legacy(
    "files",
    "The newest files",
    { ...legacyAuth, limit: Type.Optional(integer(1, 1000)) },
    Type.Array(legacyFile),
  ),
  fileUpdate: legacy(
    "files",
    "Renames the file with this content",
    {
      ...legacyAuth,
      op: Type.Optional(Type.Literal("0")),
      filehash: Type.String(),
      filename: Type.String(),
      oldname: Type.Optional(Type.String({ description: "which, when the content has several names" })),
    },
    Type.Object({ ...outcome, ...legacyFile.properties, data: legacyFile }),
  ),
};
