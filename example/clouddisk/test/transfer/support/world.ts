import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import type { LogFields, Logger, LogLevel } from "mprpc";
import { onTestFinished } from "vitest";
import { Staging } from "../../../src/common/staging.js";
import type { ContentRow, EntryRow, OutboxJob } from "../../../src/dbproxy/actions.js";
import type { Database } from "../../../src/dbproxy/client.js";
import type { ObjectStore } from "../../../src/store/store.js";
import type { Step, TransferContext } from "../../../src/transfer/context.js";
import { StagedFiles } from "../../../src/transfer/staged.js";
import { Transfer } from "../../../src/transfer/transfer.js";
import type { WorkerOptions } from "../../../src/transfer/worker.js";
import { deferred } from "../../common/deferred.js";
import { type ConfOverrides, type Disk, startDisk } from "../../support/disk.js";
import { MemoryStore, sha256 } from "./memory-store.js";

type Event = { text: string; fields: LogFields; level: LogLevel | "step" };

/** Log lines and steps as they happen, to wait for. */
export class Events {
  readonly all: Event[] = [];
  readonly #waiting = new Set<() => void>();

  add(event: Event): void {
    this.all.push(event);
    for (const look of [...this.#waiting]) look();
  }

  /** The first, now or later, with this text and, when given, about this content. */
  async find(text: string, fileHash?: string): Promise<Event> {
    return (await this.times(1, text, fileHash))[0] as Event;
  }

  /** The first `count` of them. */
  async times(count: number, text: string, fileHash?: string): Promise<Event[]> {
    const { promise, resolve } = deferred<Event[]>();
    const look = (): void => {
      const found = this.all.filter(
        (event) => event.text === text && (fileHash === undefined || event.fields.fileHash === fileHash),
      );
      if (found.length < count) return;
      this.#waiting.delete(look);
      resolve(found.slice(0, count));
    };
    this.#waiting.add(look);
    look();
    return promise;
  }

  logger(): Logger {
    const line =
      (level: LogLevel) =>
      (text: string, fields: LogFields = {}): void =>
        this.add({ text, fields, level });
    return {
      trace: line("trace"),
      debug: line("debug"),
      info: line("info"),
      warn: line("warn"),
      error: line("error"),
      fatal: line("fatal"),
    };
  }
}

export interface TransferParts {
  store?: ObjectStore;
  database?: Pick<Database, "run">;
  onStep?: (step: Step, fileHash: string) => Promise<void>;
  settings?: Partial<TransferContext["settings"]>;
  worker?: Partial<WorkerOptions>;
  /** Whether the disk's broker hands the jobs out. */
  byBroker?: boolean;
}

export interface RunningTransfer {
  transfer: Transfer;
  context: TransferContext;
  events: Events;
}

export interface Staged {
  fileHash: string;
  bytes: Buffer;
  entry: EntryRow;
}

/** A real dbproxy with a user, a staging folder, and transfers over a store in memory. */
export class World {
  readonly disk: Disk;
  readonly database: Database;
  readonly staging: Staging;
  readonly node: string;
  readonly store = new MemoryStore();
  readonly userId: number;
  #instances = 0;

  constructor(disk: Disk, userId: number) {
    this.disk = disk;
    this.userId = userId;
    this.database = disk.node.host.database;
    this.node = disk.node.settings.node;
    this.staging = new Staging(disk.node.settings.dataFolder);
  }

  /** What an upload does: the file at the path of its hash, then the rows. */
  async upload(bytes: Buffer = randomBytes(1000), name = "a.bin"): Promise<Staged> {
    await this.stage(bytes);
    return this.finish(bytes, name);
  }

  async stage(bytes: Buffer): Promise<string> {
    const fileHash = sha256(bytes);
    const file = this.staging.content(fileHash);
    await mkdir(path.dirname(file), { recursive: true });
    await mkdir(this.staging.wholeFolder, { recursive: true });
    const whole = path.join(this.staging.wholeFolder, randomBytes(8).toString("hex"));
    await writeFile(whole, bytes);
    await rename(whole, file);
    return fileHash;
  }

  async finish(bytes: Buffer, name = "a.bin"): Promise<Staged> {
    const fileHash = sha256(bytes);
    const reply = await this.database.run("upload.whole", {
      userId: this.userId,
      parentId: 0,
      name,
      fileHash,
      sizeBytes: bytes.length,
      node: this.node,
      onConflict: "rename",
    });
    if (reply.outcome !== "ok") throw new Error(`upload.whole: ${reply.outcome}`);
    return { fileHash, bytes, entry: reply.entry };
  }

  async delete({ entry }: Staged): Promise<void> {
    await this.database.run("entry.trash", { userId: this.userId, id: entry.id });
    await this.database.run("entry.discard", { userId: this.userId, ids: [entry.id] });
    const { deleted } = await this.database.run("entry.purge", { userId: this.userId, limit: 100 });
    if (deleted !== 1) throw new Error(`${deleted} entries were deleted instead of 1`);
  }

  async content(fileHash: string): Promise<ContentRow | null> {
    return (await this.database.run("content.get", { fileHash })).content;
  }

  isStaged(fileHash: string): boolean {
    return existsSync(this.staging.content(fileHash));
  }

  async claim(owner: string, leaseMs = 60_000): Promise<OutboxJob[]> {
    return (await this.database.run("outbox.claim", { node: this.node, owner, limit: 10, leaseMs })).jobs;
  }

  /** A transfer that is not started. It is stopped with the test. */
  transfer(parts: TransferParts = {}): RunningTransfer {
    const events = new Events();
    const context: TransferContext = {
      database: parts.database ?? this.database,
      store: parts.store ?? this.store,
      staged: new StagedFiles(this.staging),
      log: events.logger(),
      node: this.node,
      instance: `transfer-${++this.#instances}`,
      settings: {
        concurrency: 2,
        leaseMs: 60_000,
        retryMinMs: 5,
        retryMaxMs: 20,
        cleanIntervalMs: 3_600_000,
        scrubIntervalMs: 3_600_000,
        trashTtlMs: 3_600_000,
        ...parts.settings,
      },
      onStep: async (step, fileHash) => {
        await parts.onStep?.(step, fileHash);
        events.add({ text: step, fields: { fileHash }, level: "step" });
      },
    };
    const options = { pollMinMs: 5, pollMaxMs: 50, stopGraceMs: 1_000, ...parts.worker };
    const transfer = new Transfer(context, options, parts.byBroker ? this.disk.node.host.events : undefined);
    onTestFinished(() => transfer.stop());
    return { transfer, context, events };
  }

  started(parts: TransferParts = {}): RunningTransfer {
    const running = this.transfer(parts);
    running.transfer.worker.start();
    return running;
  }
}

export async function world(conf: ConfOverrides = {}): Promise<World> {
  const disk = await startDisk({ services: ["dbproxy"], conf });
  const { database } = disk.node.host;
  const { id } = await database.run("user.create", {
    username: "somebody",
    passwordHash: "x",
    quotaBytes: 1_000_000_000,
  });
  return new World(disk, id);
}

/** A database that can be cut off, as a killed process is: nothing it asks afterwards arrives. */
export function cuttable(database: Pick<Database, "run">): Pick<Database, "run"> & { cut(): void } {
  let isCut = false;
  return {
    cut: () => {
      isCut = true;
    },
    run: (name, params) => (isCut ? Promise.reject(new Error("cut off")) : database.run(name, params)),
  };
}
