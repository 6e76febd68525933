import multipart from "@fastify/multipart";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { Authenticator } from "../common/auth.js";
import { Code, Refusal } from "../common/codes.js";
import { checkName } from "../common/names.js";
import { Parameters } from "../common/parameters.js";
import { addRateLimits } from "../common/rate-limits.js";
import type { EntryRow, UploadRow } from "../dbproxy/actions.js";
import { defaultPace, IncomingBody, receiving } from "./body.js";
import type { UploadContext } from "./context.js";
import { uploadInstantly } from "./instant.js";
import { uploadRoutes } from "./schemas.js";
import { type UploadStatus, Uploads } from "./uploads.js";
import { addWhole, type ReceivedFile, receiveWhole, type WholeFile } from "./whole.js";

const done = { code: Code.DONE, msg: "ok" };

function hashOf(parameters: Parameters, name: string, fallback?: string): string {
  const text = parameters.text(name, fallback).toLowerCase();
  if (text !== fallback && !/^[0-9a-f]{64}$/.test(text)) {
    throw new Refusal(Code.PARAMETER, `${name} must be a SHA-256: 64 hex digits`);
  }
  return text;
}

/** The course projects spell it in two ways. */
function uploadIdOf(parameters: Parameters): string {
  const id = parameters.text("uploadid", "") || parameters.text("uploadID");
  if (!/^[0-9a-f]{32}$/.test(id)) throw new Refusal(Code.NOT_FOUND, "you have no such upload");
  return id;
}

function parentOf(parameters: Parameters): number {
  // As the course projects spell theirs, as the replies have it, and as /api/files asks for it.
  const name = parameters.spelling("parentid", "parentId", "parent");
  return parameters.integer(name, { min: 0, max: Number.MAX_SAFE_INTEGER, fallback: 0 });
}

function shownStatus({ upload, present }: UploadStatus) {
  return {
    uploadID: upload.id,
    filename: upload.name,
    filehash: upload.fileHash,
    filesize: upload.sizeBytes,
    chunkcount: upload.partCount,
    chunksize: upload.partBytes,
    chunkexists: present,
    parentId: upload.parentId,
    state: upload.state,
    createdAtMs: upload.createdAtMs,
  };
}

function shownEntry(entry: EntryRow | null) {
  if (entry === null) return {};
  const { id, name, fileHash, sizeBytes, parentId, state } = entry;
  return { data: { id, filename: name, filehash: fileHash, filesize: sizeBytes, parentId, state } };
}

export async function addUploadRoutes(http: FastifyInstance, context: UploadContext): Promise<void> {
  const uploads = new Uploads(context);
  const authenticator = new Authenticator(context.host);
  const userOf = async (request: FastifyRequest): Promise<number> =>
    (await authenticator.user(request, "upload")).userId;
  const limits = {
    max: context.host.settings.upload.requestsPerMinute,
    key: "upload.requestsperminute",
    userOf,
    withoutUser: [],
  };

  http.get("/file/upload", { schema: { hide: true } }, (_request, reply) => reply.redirect("/", 303));
  await http.register(async (limited) => {
    await addRateLimits(limited, limits);
    addSmallRoutes(limited, context, uploads, userOf);
    await limited.register(async (scope) => addBodyRoutes(scope, context, uploads, userOf));
  });
}

function addSmallRoutes(
  http: FastifyInstance,
  context: UploadContext,
  uploads: Uploads,
  userOf: UserOf,
): void {
  http.post("/file/fastupload", uploadRoutes.fast, async (request) => {
    const parameters = new Parameters(request);
    const entry = await uploadInstantly(context, {
      userId: await userOf(request),
      parentId: parentOf(parameters),
      name: checkName(parameters.text("filename")),
      fileHash: hashOf(parameters, "filehash"),
      challengeId: parameters.text("challengeid", ""),
      proof: parameters.text("proof", ""),
    });
    return { ...done, ...shownEntry(entry) };
  });
  http.get("/api/uploads", uploadRoutes.open, async (request) => {
    const open = await uploads.open(await userOf(request));
    return { ...done, uploads: open.map(shownStatus) };
  });
  for (const base of ["/file/mpupload", "/file/mupload"]) addPartRoutes(http, base, uploads, userOf);
}

type UserOf = (request: FastifyRequest) => Promise<number>;

function addPartRoutes(http: FastifyInstance, base: string, uploads: Uploads, userOf: UserOf): void {
  http.post(`${base}/init`, uploadRoutes.init, async (request) => {
    const parameters = new Parameters(request);
    const userId = await userOf(request);
    const status = await uploads.begin({
      userId,
      parentId: parentOf(parameters),
      name: checkName(parameters.text("filename")),
      fileHash: hashOf(parameters, "filehash"),
      sizeBytes: parameters.integer("filesize", {
        min: 0,
        max: Number.MAX_SAFE_INTEGER,
        fallback: Number.NaN,
      }),
    });
    const shown = shownStatus(status);
    return { ...done, status: "OK", ...shown, data: shown };
  });
  const complete = async (request: FastifyRequest) => {
    const parameters = new Parameters(request);
    const userId = await userOf(request);
    const id = uploadIdOf(parameters);
    checkClaims(parameters, await uploads.find(userId, id));
    const { entry } = await uploads.complete(userId, id);
    return { ...done, ...shownEntry(entry) };
  };
  const config = { changesState: true };
  http.get(`${base}/complete`, { ...uploadRoutes.complete, config }, complete);
  http.post(`${base}/complete`, { ...uploadRoutes.complete, config }, complete);
  http.post(`${base}/cancel`, uploadRoutes.cancel, async (request) => {
    await uploads.cancel(await userOf(request), uploadIdOf(new Parameters(request)));
    return done;
  });
  http.get(`${base}/status`, uploadRoutes.status, async (request) => {
    const status = await uploads.status(await userOf(request), uploadIdOf(new Parameters(request)));
    const shown = shownStatus(status);
    return { ...done, ...shown, data: shown };
  });
}

/** What the client repeats of the file must agree with what it began. */
function checkClaims(parameters: Parameters, { fileHash, sizeBytes }: UploadRow): void {
  if (hashOf(parameters, "filehash", fileHash) !== fileHash) {
    throw new Refusal(Code.PARAMETER, "filehash is not that of the upload");
  }
  const max = Number.MAX_SAFE_INTEGER;
  if (parameters.integer("filesize", { min: 0, max, fallback: sizeBytes }) !== sizeBytes) {
    throw new Refusal(Code.PARAMETER, "filesize is not that of the upload");
  }
}

/** Routes whose bodies are streamed past the parsers. */
async function addBodyRoutes(
  http: FastifyInstance,
  context: UploadContext,
  uploads: Uploads,
  userOf: UserOf,
): Promise<void> {
  const { fileMaxBytes } = context.host.settings.upload;
  const { pace = defaultPace } = context;
  http.removeAllContentTypeParsers();
  http.addContentTypeParser("*", (_request, _payload, parsed) => parsed(null, undefined));
  await http.register(multipart, {
    // One byte more than allowed, so that a file that is too large is told from one that just fits.
    limits: { fileSize: fileMaxBytes + 1, files: 2, fields: 20, fieldSize: 4096, parts: 30 },
  });
  // A body nobody wants is thrown away as it comes: cut off, many clients would miss the reply.
  http.addHook("onError", async (request) => {
    // Not into a form's part that nobody reads.
    request.raw.unpipe().resume();
  });

  http.post("/file/upload", uploadRoutes.whole, async (request, reply) => {
    const userId = await userOf(request);
    const receive = request.isMultipart() ? receiveForm : receiveRaw;
    const entry = await receiving(request, reply, pace, () => receive(context, request, userId));
    return { ...done, ...shownEntry(entry) };
  });
  for (const base of ["/file/mpupload", "/file/mupload"]) {
    http.post(`${base}/uppart`, uploadRoutes.part, async (request, reply) => {
      const userId = await userOf(request);
      await receiving(request, reply, pace, () => receivePart(uploads, request, userId));
      return done;
    });
  }
}

function receivePart(uploads: Uploads, request: FastifyRequest, userId: number): Promise<void> {
  return withBody(request, (body) => {
    const parameters = new Parameters(request);
    const name = parameters.spelling("index", "chkidx");
    return uploads.receive(userId, uploadIdOf(parameters), {
      index: parameters.integer(name, { min: 0, max: 1_000_000, fallback: Number.NaN }),
      partHash: hashOf(parameters, "chkhash", ""),
      body,
      contentLength: contentLength(request),
    });
  });
}

/** undefined: chunked. */
function contentLength({ headers }: FastifyRequest): number | undefined {
  const { "content-length": length } = headers;
  return length === undefined ? undefined : Number(length);
}

async function withBody<T>(request: FastifyRequest, use: (body: IncomingBody) => Promise<T>): Promise<T> {
  const body = new IncomingBody(request.raw);
  try {
    return await use(body);
  } finally {
    body.destroy();
  }
}

function receiveRaw(context: UploadContext, request: FastifyRequest, userId: number): Promise<EntryRow> {
  return withBody(request, async (body) => {
    const wanted = wholeFileOf(new Parameters(request), userId);
    return addWhole(context, await receiveWhole(context, userId, body, contentLength(request)), wanted);
  });
}

/** As long as RFC 2046, 5.1.1 allows. */
const boundaryPattern = /;\s*boundary=("[^"]{1,70}"|[^\s";]{1,70})\s*(;|$)/i;

/** The file counts once all of the form is there: its fields may come in any order. */
async function receiveForm(
  context: UploadContext,
  request: FastifyRequest,
  userId: number,
): Promise<EntryRow> {
  if (!boundaryPattern.test(request.headers["content-type"] ?? "")) {
    throw new Refusal(
      Code.PARAMETER,
      "the body is no multipart form: it needs a boundary of 1 to 70 characters",
    );
  }
  const fields = new Map<string, string>();
  let received: ReceivedFile | undefined;
  let fileName = "";
  try {
    for await (const part of request.parts()) {
      if (part.type === "field") {
        fields.set(part.fieldname, String(part.value));
        continue;
      }
      if (received !== undefined) throw new Refusal(Code.PARAMETER, "send one file in a request");
      if (part.fieldname !== "file") throw noFile();
      fileName = part.filename;
      received = await receiveWhole(context, userId, part.file, contentLength(request));
    }
    if (received === undefined) throw noFile();
    const parameters = new Parameters({ body: Object.fromEntries(fields), query: request.query });
    return await addWhole(context, received, wholeFileOf(parameters, userId, fileName));
  } catch (error) {
    throw isMalformed(error)
      ? new Refusal(Code.PARAMETER, `the body is no multipart form: ${error.message}`)
      : error;
  } finally {
    await received?.discard();
  }
}

/** What the parser says of a form that is none. */
function isMalformed(error: unknown): error is Error {
  if (!(error instanceof Error) || error instanceof Refusal || "code" in error) return false;
  return /multipart|form|part header/i.test(error.message);
}

function noFile(): Refusal {
  return new Refusal(Code.PARAMETER, "the form has no field `file` with a file");
}

function wholeFileOf(parameters: Parameters, userId: number, fileName?: string): WholeFile {
  return {
    userId,
    parentId: parentOf(parameters),
    name: checkName(parameters.text("filename", fileName)),
    fileHash: hashOf(parameters, "filehash", ""),
  };
}
