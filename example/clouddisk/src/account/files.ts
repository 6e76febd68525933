import type { HandlersOf } from "mprpc";
import { answer } from "../common/answer.js";
import { Code, Refusal } from "../common/codes.js";
import { checkName } from "../common/names.js";
import type { ResultOf } from "../dbproxy/actions.js";
import type { Database } from "../dbproxy/client.js";
import { idOf, outcomeOf, toEntry, userIdOf } from "./entries.js";
import type { Feed } from "./feed.js";
import type {
  BatchReplyInput,
  BatchRequest,
  BatchResultInput,
  DeleteReplyInput,
  EntryInput,
  EntryRequest,
  FileService,
  ListReplyInput,
  ListRequest,
} from "./gen/account.js";
import type { Purger } from "./purger.js";

const sorts = ["name", "size", "updated"] as const;
const operations = ["trash", "restore", "move"] as const;
/** Entries of one batch. */
const batchMax = 1000;
/** Rows one transaction of a batch changes, and those of its last entry besides: others wait for it. */
const batchRowsMax = 200;

/** The names a user sees. Whose they are is part of every question, so that ids of others are simply not there. */
export class Files {
  readonly #database: Database;
  readonly #purger: Purger;
  readonly #feed: Feed;

  constructor(database: Database, purger: Purger, feed: Feed) {
    this.#database = database;
    this.#purger = purger;
    this.#feed = feed;
  }

  handlers(): HandlersOf<typeof FileService> {
    const database = this.#database;
    /** Who watches is told at once. */
    const changing = async <R>({ userId }: { userId: bigint }, work: () => Promise<R>): Promise<R> => {
      try {
        return await work();
      } finally {
        this.#feed.changed(Number(userId));
      }
    };
    const entryAnswer = (request: { userId: bigint }, work: () => Promise<EntryInput>) =>
      answer(async () => ({ entry: await changing(request, work) }));
    return {
      list: (request) => answer(() => this.#list(request)),
      createFolder: (request) =>
        entryAnswer(request, async () =>
          outcomeOf(
            await database.run("entry.createFolder", {
              userId: userIdOf(request.userId),
              parentId: idOf(request.parentId, "parent_id", 0),
              name: checkName(request.name),
              reuse: request.reuse,
            }),
          ),
        ),
      rename: (request) =>
        entryAnswer(request, async () =>
          outcomeOf(await database.run("entry.rename", { ...owned(request), name: checkName(request.name) })),
        ),
      move: (request) =>
        entryAnswer(request, async () =>
          outcomeOf(
            await database.run("entry.move", {
              ...owned(request),
              parentId: idOf(request.parentId, "parent_id", 0),
            }),
          ),
        ),
      trash: (request) => entryAnswer(request, () => this.#trash(request)),
      restore: (request) =>
        entryAnswer(request, async () => outcomeOf(await database.run("entry.restore", owned(request)))),
      delete: (request) => answer(() => changing(request, () => this.#delete(request))),
      emptyTrash: (request) =>
        answer(() => changing(request, () => this.#purger.emptyTrash(userIdOf(request.userId)))),
      batch: (request) => answer(() => changing(request, () => this.#batch(request))),
    };
  }

  async #trash(request: EntryRequest): Promise<EntryInput> {
    const { userId, id } = owned(request);
    const done = await this.#database.run("entry.trash", { userId, id });
    // Of a big folder: what is in it follows, if need be after the reply.
    if (done.outcome === "ok" && done.more) await this.#purger.purge(userId);
    return outcomeOf(done);
  }

  async #delete(request: EntryRequest): Promise<DeleteReplyInput> {
    const { userId, id } = owned(request);
    const { ids } = await this.#database.run("entry.discard", { userId, ids: [id] });
    if (ids.length === 0) throw new Refusal(Code.NOT_FOUND, "it is not in the trash");
    return this.#purger.purge(userId);
  }

  async #batch(request: BatchRequest): Promise<BatchReplyInput> {
    const userId = userIdOf(request.userId);
    const ids = request.ids.map((id) => idOf(id, "ids"));
    if (ids.length === 0 || ids.length > batchMax)
      throw new Refusal(Code.PARAMETER, `ids must be 1 to ${batchMax}`);
    if (request.operation === "delete") {
      const { ids: discarded } = await this.#database.run("entry.discard", { userId, ids });
      const results = ids.map((id) =>
        discarded.includes(id) ? { id } : { id, code: Code.NOT_FOUND, message: "it is not in the trash" },
      );
      return { results, ...(await this.#purger.purge(userId)) };
    }
    const operation = operations.find((one) => one === request.operation);
    if (operation === undefined) {
      throw new Refusal(Code.PARAMETER, `operation must be ${operations.join(", ")} or delete`);
    }
    const parentId = idOf(request.parentId, "parent_id", 0);
    const results: BatchResultInput[] = [];
    let more = false;
    while (results.length < ids.length) {
      const rest = ids.slice(results.length);
      const done = await this.#database.run("entry.batch", {
        userId,
        operation,
        ids: rest,
        parentId,
        rowsMax: batchRowsMax,
      });
      for (const [index, result] of done.results.entries()) {
        results.push(resultOf(rest[index] ?? 0, result));
        more ||= result.outcome === "ok" && result.more === true;
      }
    }
    if (more) await this.#purger.purge(userId);
    return { results };
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

function resultOf(id: number, result: ResultOf<"entry.rename">): BatchResultInput {
  try {
    return { id, entry: outcomeOf(result) };
  } catch (error) {
    if (error instanceof Refusal) return { id, code: error.code, message: error.message };
    throw error;
  }
}

function owned({ userId, id }: { userId: bigint; id: bigint }): { userId: number; id: number } {
  return { userId: userIdOf(userId), id: idOf(id, "id") };
}
