import type { HandlersOf } from "mprpc";
import { answer } from "../common/answer.js";
import { Code, Refusal } from "../common/codes.js";
import { checkName } from "../common/names.js";
import type { Database } from "../dbproxy/client.js";
import { idOf, outcomeOf, toEntry, userIdOf } from "./entries.js";
import type { EntryInput, FileService, ListReplyInput, ListRequest } from "./gen/account.js";

const sorts = ["name", "size", "updated"] as const;

/** The names a user sees. Whose they are is part of every question, so that ids of others are simply not there. */
export class Files {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  handlers(): HandlersOf<typeof FileService> {
    const database = this.#database;
    return {
      list: (request) => answer(() => this.#list(request)),
      createFolder: ({ userId, parentId, name, reuse }) =>
        entryAnswer(async () =>
          outcomeOf(
            await database.run("entry.createFolder", {
              userId: userIdOf(userId),
              parentId: idOf(parentId, "parent_id", 0),
              name: checkName(name),
              reuse,
            }),
          ),
        ),
      rename: ({ userId, id, name }) =>
        entryAnswer(async () =>
          outcomeOf(await database.run("entry.rename", { ...owned({ userId, id }), name: checkName(name) })),
        ),
      move: ({ userId, id, parentId }) =>
        entryAnswer(async () =>
          outcomeOf(
            await database.run("entry.move", {
              ...owned({ userId, id }),
              parentId: idOf(parentId, "parent_id", 0),
            }),
          ),
        ),
      trash: (request) =>
        entryAnswer(async () => outcomeOf(await database.run("entry.trash", owned(request)))),
      restore: (request) =>
        entryAnswer(async () => outcomeOf(await database.run("entry.restore", owned(request)))),
      delete: (request) =>
        answer(async () => {
          const { deleted } = await database.run("entry.delete", owned(request));
          if (deleted === 0) throw new Refusal(Code.NOT_FOUND, "it is not in the trash");
          return { deleted };
        }),
      emptyTrash: ({ userId }) =>
        answer(() => database.run("entry.emptyTrash", { userId: userIdOf(userId) })),
    };
  }

  async #list(request: ListRequest): Promise<ListReplyInput> {
    const sort = sorts.find((one) => one === (request.sort || "name"));
    if (sort === undefined) throw new Refusal(Code.PARAMETER, `sort must be ${sorts.join(", ")}`);
    const limit = request.limit === 0 ? 100 : request.limit;
    if (limit < 1 || limit > 1000) throw new Refusal(Code.PARAMETER, "limit must be 1 to 1000");
    const query = request.query.normalize("NFC");
    if (query.length > 255 || request.cursor.length > 1024) {
      throw new Refusal(Code.PARAMETER, "q may have 255 characters, cursor 1024");
    }
    const result = await this.#database.run("entry.list", {
      userId: userIdOf(request.userId),
      parentId: idOf(request.parentId, "parent", 0),
      trashed: request.trashed,
      query,
      sort,
      descending: request.descending,
      limit,
      cursor: request.cursor,
    });
    if (result.outcome === "not_found") throw new Refusal(Code.NOT_FOUND, "there is no such folder");
    if (result.outcome !== "ok") throw new Refusal(Code.PARAMETER, "cursor is not one of this list");
    const { entries, nextCursor, total, parents } = result;
    return { entries: entries.map(toEntry), nextCursor, total, parents: parents.map((one) => toEntry(one)) };
  }
}

function entryAnswer(work: () => Promise<EntryInput>) {
  return answer(async () => ({ entry: await work() }));
}

function owned({ userId, id }: { userId: bigint; id: bigint }): { userId: number; id: number } {
  return { userId: userIdOf(userId), id: idOf(id, "id") };
}
