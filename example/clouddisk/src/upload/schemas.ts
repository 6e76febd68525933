import type { FastifySchema, RouteShorthandOptions } from "fastify";
import Type, { type TSchema } from "typebox";

/** What the routes of uploads take and give, for `/openapi.json`; `Parameters` checks it, wherever it stands. */

const security = [{ bearer: [] }, { cookie: [] }, { ticket: [] }];
const outcome = { code: Type.Integer(), msg: Type.String() };
const refusal = Type.Object(outcome, { description: "code says why; see the table of codes" });
const hash = (of: string) =>
  Type.String({ pattern: "^[0-9a-fA-F]{64}$", description: `SHA-256 of ${of}, hex` });
const uploadid = Type.String({ pattern: "^[0-9a-f]{32}$" });
const bytes = Type.Unsafe<string>({ type: "string", format: "binary" });
const fileName = Type.String({ description: "1 to 255 bytes of UTF-8; no / \\ or control characters" });
const parentid = Type.Optional(
  Type.Integer({ minimum: 0, description: "the folder's id; 0, the default: the top" }),
);

const entry = Type.Object({
  id: Type.Integer(),
  filename: Type.String(),
  filehash: Type.String(),
  filesize: Type.Integer(),
  parentId: Type.Integer(),
  state: Type.String({ description: "local, storing, stored, failed" }),
});
const upload = {
  uploadID: uploadid,
  filename: Type.String(),
  filehash: Type.String(),
  filesize: Type.Integer(),
  chunkcount: Type.Integer(),
  chunksize: Type.Integer({ description: "bytes of every part but the last" }),
  chunkexists: Type.Array(Type.Integer(), { description: "parts that are there, from 0" }),
  parentId: Type.Integer(),
  state: Type.String({ description: "open, merging, done, cancelled, expired" }),
  createdAtMs: Type.Integer(),
};

type Documented = Pick<RouteShorthandOptions, "schema" | "validatorCompiler">;

function documented(summary: string, schema: FastifySchema): Documented {
  return { schema: { tags: ["upload"], summary, security, ...schema }, validatorCompiler: () => () => true };
}

const replies = (properties: Record<string, TSchema>): Record<string, TSchema> => ({
  200: Type.Object({ ...outcome, ...properties }),
  "4xx": refusal,
  "5xx": refusal,
});
/** JSON or a form; the query as well, which nobody has to know. */
const form = (properties: Record<string, TSchema>): FastifySchema => ({
  consumes: ["application/json", "application/x-www-form-urlencoded"],
  body: Type.Object(properties),
});
const byId = { querystring: Type.Object({ uploadid }) };
const shown = { ...upload, data: Type.Object(upload) };
const made = { data: Type.Optional(entry) };

export const uploadRoutes = {
  fast: documented("Instant upload: 0 done, -1 upload it, -2 answer the challenge", {
    ...form({
      filename: fileName,
      filehash: hash("the content"),
      parentid,
      challengeid: Type.Optional(Type.String()),
      proof: Type.Optional(hash("the nonce's text and the bytes of the ranges")),
    }),
    response: replies({
      data: Type.Optional(
        Type.Union([
          entry,
          Type.Object({
            challenge: Type.Object({
              id: Type.String(),
              nonce: Type.String(),
              ranges: Type.Array(Type.Object({ offset: Type.Integer(), length: Type.Integer() })),
            }),
          }),
        ]),
      ),
    }),
  }),
  open: documented("Your open uploads", { response: replies({ uploads: Type.Array(Type.Object(upload)) }) }),
  init: documented("Begins an upload in parts, or goes on with it", {
    ...form({
      filename: fileName,
      filehash: hash("the content"),
      filesize: Type.Integer({ minimum: 0 }),
      parentid,
    }),
    response: replies({ status: Type.Literal("OK"), ...shown }),
  }),
  part: documented("A part, as the raw body", {
    querystring: Type.Object({
      uploadid,
      index: Type.Integer({ minimum: 0, description: "from 0" }),
      chkhash: Type.Optional(hash("the part, to have it checked")),
    }),
    body: { content: { "application/octet-stream": { schema: bytes } } },
    response: replies({}),
  }),
  complete: documented("Makes a file of the parts; may be asked for again", {
    ...byId,
    response: replies({
      ...made,
      missing: Type.Optional(Type.Array(Type.Integer({ description: "parts that are missing, code -2" }))),
    }),
  }),
  cancel: documented("Gives an upload up", { ...byId, response: replies({}) }),
  status: documented("Which parts are there", { ...byId, response: replies(shown) }),
  whole: documented("A whole file: the form field `file`, or the bytes themselves", {
    querystring: Type.Object({
      filename: Type.Optional(fileName),
      filehash: Type.Optional(hash("the content, to have it checked")),
      parentid,
    }),
    body: {
      content: {
        "multipart/form-data": {
          schema: Type.Object({ file: bytes, filename: Type.Optional(fileName), parentid }),
        },
        "application/octet-stream": { schema: bytes },
      },
    },
    response: replies(made),
  }),
};
