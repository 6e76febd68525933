import { type CallContext, type Logger, RpcError, Status } from "mprpc";
import { Compile, type Validator } from "typebox/compile";
import { type Callers, checkActions } from "../common/callers.js";
import { Code } from "../common/codes.js";
import type { CreatePart } from "../common/part.js";
import { tracedLogger } from "../common/trace.js";
import type { Notes } from "../events/notes.js";
import { type ActionContract, type ActionName, actions } from "./actions.js";
import { Announcer } from "./announcer.js";
import { changeActions } from "./changes.js";
import { type Connected, connect } from "./connect.js";
import { contentActions } from "./contents.js";
import { entryActions } from "./entries.js";
import type { ActionResult, ExecuteReplyInput, ExecuteRequest, SingleAction } from "./gen/dbproxy.js";
import { DBProxyService } from "./gen/dbproxy.js";
import { nodeActions } from "./nodes.js";
import { outboxActions } from "./outbox.js";
import { partActions } from "./parts.js";
import { type How, type Implementations, inTransaction, type Tx } from "./transaction.js";
import { trashActions } from "./trash.js";
import { uploadActions } from "./uploads.js";
import { userActions } from "./users.js";

const implementations: Implementations = {
  ...userActions,
  ...entryActions,
  ...trashActions,
  ...contentActions,
  ...uploadActions,
  ...partActions,
  ...outboxActions,
  ...changeActions,
  ...nodeActions,
};

const notRun = -1;
const undone = -2;
const actionsMax = 1000;

type Work = (tx: Tx) => Promise<unknown>;

/** What an action does not take; the message names the field, never the value. */
class BadAction extends Error {}

/** Runs named actions on the database, alone or together. */
export class Executor {
  readonly #database: Connected;
  readonly #log: Logger;
  readonly #callers: Callers;
  readonly #tell: (notes: Notes) => void;
  readonly #validators = new Map<string, Validator>();

  /** `callers`: who may ask for what. `tell` is given what others want to hear of, once it is committed. */
  constructor(
    database: Connected,
    log: Logger,
    callers: Callers = "services",
    tell: (notes: Notes) => void = () => {},
  ) {
    this.#callers = callers;
    this.#tell = tell;
    this.#database = database;
    this.#log = log;
  }

  /** Throws RpcError UNAVAILABLE while the database is away, INVALID_ARGUMENT for too many actions. */
  async execute(request: ExecuteRequest, context?: CallContext): Promise<ExecuteReplyInput> {
    if (request.actions.length > actionsMax) {
      throw new RpcError(
        Status.INVALID_ARGUMENT,
        `at most ${actionsMax} actions, got ${request.actions.length}`,
      );
    }
    if (context !== undefined) {
      const names = request.actions.map(({ name }) => name);
      checkActions(names, this.#callers, context);
    }
    const results = await this.#run(request);
    const wrong = results.find((result) => result.code > 0);
    return { code: wrong?.code ?? 0, message: wrong?.message ?? "", results };
  }

  async #run({ actions: items, sequence, transaction }: ExecuteRequest): Promise<ActionResult[]> {
    if (transaction) return this.#together(items);
    if (!sequence) return Promise.all(items.map((item) => this.#alone(item)));
    const results: ActionResult[] = [];
    for (const item of items) {
      const failed = results.some((result) => result.code !== 0);
      results.push(
        failed
          ? { code: notRun, message: "not run: one before it failed", data: "" }
          : await this.#alone(item),
      );
    }
    return results;
  }

  async #alone(item: SingleAction): Promise<ActionResult> {
    try {
      const work = this.#prepare(item);
      return done(await this.#commit(work, howOf(item.name)));
    } catch (error) {
      return this.#failure(item, error);
    }
  }

  async #together(items: readonly SingleAction[]): Promise<ActionResult[]> {
    let at = 0;
    try {
      const works: Work[] = [];
      for (; at < items.length; at++) works.push(this.#prepare(items[at] as SingleAction));
      return await this.#commit(async (tx) => {
        const results: ActionResult[] = [];
        for (at = 0; at < works.length; at++) results.push(done(await (works[at] as Work)(tx)));
        return results;
      });
    } catch (error) {
      // One that fails when it is committed fails as the last.
      const failed = Math.min(at, items.length - 1);
      const item = items[failed];
      if (item === undefined) throw error;
      const failure = this.#failure(item, error);
      const other = { code: undone, message: "undone: the transaction failed", data: "" };
      return items.map((_, index) => (index === failed ? failure : other));
    }
  }

  async #commit<T>(work: (tx: Tx) => Promise<T>, how?: How): Promise<T> {
    let notes: Notes | undefined;
    const result = await inTransaction(
      this.#database,
      (tx) => {
        // Those of an attempt that is made again are forgotten with it.
        notes = tx.notes;
        return work(tx);
      },
      how,
    );
    if (notes !== undefined && notes.size > 0) this.#tell(notes);
    return result;
  }

  #prepare({ name, params }: SingleAction): Work {
    if (!Object.hasOwn(actions, name)) throw new BadAction(`unknown action ${JSON.stringify(name)}`);
    const known = name as ActionName;
    let given: unknown;
    try {
      given = JSON.parse(params);
    } catch {
      throw new BadAction(`${name}: params are no JSON`);
    }
    let validator = this.#validators.get(name);
    if (validator === undefined) {
      validator = Compile(actions[known].params);
      this.#validators.set(name, validator);
    }
    if (!validator.Check(given)) {
      const [problem] = validator.Errors(given);
      throw new BadAction(`${name}: ${problem?.instancePath || "params"} ${problem?.message ?? "is wrong"}`);
    }
    // The schema the params were just checked against is the one their type is made from.
    const run = implementations[known] as (tx: Tx, params: unknown) => Promise<unknown>;
    return (tx) => run(tx, given);
  }

  #failure({ name }: SingleAction, error: unknown): ActionResult {
    if (error instanceof BadAction) return { code: Code.PARAMETER, message: error.message, data: "" };
    if (error instanceof RpcError) throw error;
    this.#log.error(`${name} failed`, { error });
    if (isFull(error)) return { code: Code.FULL, message: "the database's disk is full", data: "" };
    return { code: Code.SERVER, message: `${name}: the database refused it`, data: "" };
  }
}

/** SQLite's disk, or MariaDB's, has no room; a file that may not grow is the same to whoever waits. */
function isFull(error: unknown): boolean {
  const code = String((error as { code?: unknown } | undefined)?.code ?? "");
  return /^(SQLITE_FULL|SQLITE_IOERR_(WRITE|FSYNC|TRUNCATE|SHMSIZE)|ENOSPC|ER_DISK_FULL|ER_RECORD_FILE_FULL)/.test(
    code,
  );
}

function howOf(name: string): How {
  if (!Object.hasOwn(actions, name)) return {};
  const { reads = false, repeatable = false }: ActionContract = actions[name as ActionName];
  return { reads, repeatable };
}

function done(data: unknown): ActionResult {
  return { code: 0, message: "", data: JSON.stringify(data) };
}

/** The only service with SQL. */
export const createDbproxy: CreatePart = async (host) => {
  const log = tracedLogger(host.app.log, "dbproxy");
  const database = await connect(host.settings.databaseUrl);
  const announcer = host.events && new Announcer(host.events, log);
  const executor = new Executor(database, log, host.settings.callers, (notes) => announcer?.tell(notes));
  return {
    name: "dbproxy",
    log,
    notify(provider) {
      provider.notifyService(DBProxyService, {
        executeAction: (request, context) => executor.execute(request, context),
      });
    },
    async stop() {
      await announcer?.stop();
      await database.close();
    },
  };
};
