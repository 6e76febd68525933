import type { FastifyInstance, FastifyRequest } from "fastify";
import type { Static } from "typebox";
import type { Entry, EntryReply } from "../account/gen/account.js";
import { checked } from "../common/answer.js";
import { checkOrigin, tokenOf } from "../common/auth.js";
import { Code, Refusal } from "../common/codes.js";
import type { Gateway } from "./gateway.js";
import { type bodies, checkedBy } from "./schemas.js";
import type { ServiceHealth } from "./services.js";

type Id = { Params: Static<typeof bodies.id> };
const done = { code: Code.DONE, msg: "ok" };

/** What the web page uses. */
export function addApiRoutes(http: FastifyInstance, gateway: Gateway, health: ServiceHealth): void {
  http.get("/api/me", checkedBy.me, async (request) => {
    const user = await gateway.user(request);
    const [info, { upload, download }] = await Promise.all([
      gateway.users.userInfo({ userId: user.userId }).then(checked),
      gateway.entryPoints(user),
    ]);
    return {
      ...done,
      user: {
        username: info.username,
        signupAtMs: Number(info.signupAtMs),
        quotaBytes: Number(info.quotaBytes),
        usedBytes: Number(info.usedBytes),
        operator: info.operator,
      },
      uploadEntry: upload.entry,
      uploadTicket: upload.ticket,
      downloadEntry: download.entry,
      downloadTicket: download.ticket,
    };
  });

  http.get("/api/signup", checkedBy.signupPolicy, async () => {
    const { open, contact } = checked(await gateway.users.signupPolicy({}));
    return { ...done, open, contact };
  });

  http.post("/api/signout", checkedBy.signout, async (request, reply) => {
    const given = tokenOf(request);
    if (given?.via === "cookie") checkOrigin(request, gateway.host);
    if (given !== undefined) {
      checked(await gateway.users.signout({ token: given.token }));
      gateway.authenticator.forget(given.token);
    }
    gateway.clearCookie(reply);
    return done;
  });

  http.get("/api/services", checkedBy.services, async (request) => {
    const { userId } = await gateway.user(request);
    const { operator } = checked(await gateway.users.userInfo({ userId }));
    if (!operator) throw new Refusal(Code.FORBIDDEN, "only the operator of the disk sees its services");
    return { ...done, services: await health.list() };
  });

  addFileRoutes(http, gateway);
  addTrashRoutes(http, gateway);
  addBatchRoutes(http, gateway);
}

function addFileRoutes(http: FastifyInstance, gateway: Gateway): void {
  const { files } = gateway;

  http.get<{ Querystring: Static<typeof bodies.list> }>("/api/files", checkedBy.list, async (request) => {
    const { userId } = await gateway.user(request);
    const { parent, q, trashed, sort, desc, limit, cursor } = request.query;
    const page = checked(
      await files.list({
        userId,
        parentId: parent,
        trashed: Boolean(trashed),
        query: q,
        sort,
        descending: Boolean(desc),
        limit,
        cursor,
      }),
    );
    return {
      ...done,
      entries: page.entries.map(toJson),
      nextCursor: page.nextCursor,
      total: Number(page.total),
      parents: page.parents.map(toJson),
    };
  });

  http.post<{ Body: Static<typeof bodies.folder> }>(
    "/api/folders",
    checkedBy.createFolder,
    async (request) => {
      const { userId } = await gateway.user(request);
      const { parentId, name, reuse } = request.body;
      return entryJson(await files.createFolder({ userId, parentId, name, reuse }));
    },
  );

  http.patch<Id & { Body: Static<typeof bodies.change> }>(
    "/api/files/:id",
    checkedBy.change,
    async (request) => {
      const { userId } = await gateway.user(request);
      const { id } = request.params;
      const { body } = request;
      return entryJson(
        "name" in body
          ? await files.rename({ userId, id, name: body.name })
          : await files.move({ userId, id, parentId: body.parentId }),
      );
    },
  );
}

function addTrashRoutes(http: FastifyInstance, gateway: Gateway): void {
  const { files } = gateway;

  http.delete<Id>("/api/files/:id", checkedBy.trash, async (request) => {
    const { userId } = await gateway.user(request);
    return entryJson(await files.trash({ userId, id: request.params.id }));
  });

  http.post<Id>("/api/files/:id/restore", checkedBy.restore, async (request) => {
    const { userId } = await gateway.user(request);
    return entryJson(await files.restore({ userId, id: request.params.id }));
  });

  http.delete<Id>("/api/trash/:id", checkedBy.remove, async (request) => {
    const { userId } = await gateway.user(request);
    return purged(checked(await files.delete({ userId, id: request.params.id })));
  });

  http.delete("/api/trash", checkedBy.emptyTrash, async (request) => {
    const { userId } = await gateway.user(request);
    return purged(checked(await files.emptyTrash({ userId })));
  });
}

/** Many entries in one request, each with a result of its own. */
function addBatchRoutes(http: FastifyInstance, gateway: Gateway): void {
  const run = async (request: FastifyRequest, operation: string, ids: number[], parentId = 0) => {
    const { userId } = await gateway.user(request);
    const reply = checked(await gateway.files.batch({ userId, operation, ids, parentId }));
    const results = reply.results.map(({ id, code, message, entry }) => ({
      id: Number(id),
      code,
      msg: code === 0 ? "ok" : message,
      ...(entry === undefined ? {} : { entry: toJson(entry) }),
    }));
    return { reply, results };
  };
  for (const operation of ["trash", "restore"] as const) {
    http.post<{ Body: Static<typeof bodies.batch> }>(
      `/api/files/batch/${operation}`,
      checkedBy.batch[operation],
      async (request) => ({ ...done, results: (await run(request, operation, request.body.ids)).results }),
    );
  }
  http.post<{ Body: Static<typeof bodies.batchMove> }>(
    "/api/files/batch/move",
    checkedBy.batch.move,
    async (request) => {
      const { ids, parentId } = request.body;
      return { ...done, results: (await run(request, "move", ids, parentId)).results };
    },
  );
  http.post<{ Body: Static<typeof bodies.batch> }>(
    "/api/files/batch/delete",
    checkedBy.batch.delete,
    async (request) => {
      const { reply, results } = await run(request, "delete", request.body.ids);
      return { ...purged(reply), results };
    },
  );
}

function purged({ deleted, left }: { deleted: bigint; left: bigint }) {
  return { ...done, deleted: Number(deleted), left: Number(left) };
}

function entryJson(reply: EntryReply) {
  const { entry } = checked(reply);
  if (entry === undefined) throw new Error("account changed an entry and gave none");
  return { ...done, entry: toJson(entry) };
}

/** JSON has no int64; these are beneath 2^53. */
function toJson(entry: Entry) {
  const { name, folder, fileHash, state, path } = entry;
  return {
    id: Number(entry.id),
    parentId: Number(entry.parentId),
    name,
    folder,
    fileHash,
    sizeBytes: Number(entry.sizeBytes),
    createdAtMs: Number(entry.createdAtMs),
    updatedAtMs: Number(entry.updatedAtMs),
    trashedAtMs: Number(entry.trashedAtMs),
    state,
    path,
  };
}
