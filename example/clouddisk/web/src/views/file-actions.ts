import { useMemo, useRef, useState } from "preact/hooks";
import { type Api, ApiError, type BatchOperation, Code, type Entry } from "../api.js";
import { describe } from "../describe.js";
import { useI18n } from "../i18n/context.js";
import type { Failed } from "../upload/pick.js";
import { downloadAll, downloadOne } from "./download.js";
import { tellFailed, useToast } from "./toasts.js";

interface Outcome {
  done: Entry[];
  failed: Failed[];
  /** Rows that are still being deleted. */
  left: number;
}

/** What is under way, of how many. */
export interface Progress {
  done: number;
  total: number;
}

/** In one request; a few hundred are a second's work for the disk. */
const batchEntries = 500;

/** Many in each request, one request after the other: what can be done is done. */
async function changeAll(
  entries: readonly Entry[],
  change: (ids: readonly number[]) => ReturnType<Api["batch"]>,
  onProgress: (done: number) => void,
): Promise<Outcome> {
  const outcome: Outcome = { done: [], failed: [], left: 0 };
  for (let start = 0; start < entries.length; start += batchEntries) {
    const some = entries.slice(start, start + batchEntries);
    try {
      const { results, left } = await change(some.map(({ id }) => id));
      outcome.left = left;
      for (const [at, entry] of some.entries()) {
        const { code, msg } = results[at] ?? { code: Code.SERVER, msg: "no result in the reply" };
        if (code === Code.DONE) outcome.done.push(entry);
        else outcome.failed.push({ name: entry.name, error: new ApiError(code, msg) });
      }
    } catch (error) {
      // The others would fare no better.
      outcome.failed.push(...entries.slice(start).map(({ name }) => ({ name, error })));
      break;
    }
    onProgress(Math.min(entries.length, start + batchEntries));
  }
  return outcome;
}

interface Listed {
  onChanged: () => void;
  /** These are not in the list any more. */
  onGone: (ids: ReadonlySet<number>) => void;
  /** The folder whose list it is; undefined: of a search, or the trash. */
  folderId: number | undefined;
  /** It is the trash's. */
  trashed: boolean;
}

/** What is done with entries: each says how it went, and has the list shown anew. */
export function useFileActions(api: Api, listed: Listed) {
  const { t } = useI18n();
  const say = useToast();
  const [progress, setProgress] = useState<Progress>();
  const { signal } = useMemo(() => new AbortController(), [api]);
  const latest = useRef(listed);
  latest.current = listed;
  const onProgress =
    (total: number) =>
    (done: number): void =>
      setProgress(total > 1 ? { done, total } : undefined);

  const changeEach = async (
    operation: BatchOperation,
    entries: readonly Entry[],
    onDone: (done: readonly Entry[], left: number) => void,
    parentId?: number,
  ): Promise<void> => {
    const tellProgress = onProgress(entries.length);
    if (entries.length > batchEntries) tellProgress(0);
    const change = (ids: readonly number[]): ReturnType<Api["batch"]> =>
      // What was refused as too much was not begun.
      persistTooMany(api, signal, () => api.batch(operation, ids, parentId));
    const { done, failed, left } = await changeAll(entries, change, tellProgress);
    setProgress(undefined);
    if (done.length > 0) onDone(done, left);
    tellFailed(failed, say, t);
    const { onGone, onChanged } = latest.current;
    if (goesBy(operation, latest.current, parentId)) onGone(new Set(done.map(({ id }) => id)));
    onChanged();
  };
  const tell =
    (key: "done.restored" | "done.moved") =>
    ({ length }: readonly Entry[]): void =>
      say(t(key, { count: length }));
  const tellDeleted = (deleted: number, left: number): void =>
    say(t(left > 0 ? "done.deleting" : "done.deleted", { count: deleted, left }));
  const restore = (entries: readonly Entry[]): Promise<void> =>
    changeEach("restore", entries, tell("done.restored"));

  return {
    progress,
    restore,
    trash: (entries: readonly Entry[]): Promise<void> =>
      changeEach("trash", entries, (done) =>
        say(t("done.trashed", { count: done.length }), { undo: () => void restore(done) }),
      ),
    remove: (entries: readonly Entry[]): Promise<void> =>
      changeEach("delete", entries, (done, left) => tellDeleted(done.length, left)),
    move: (entries: readonly Entry[], parentId: number): Promise<void> =>
      changeEach("move", entries, tell("done.moved"), parentId),
    async emptyTrash(): Promise<void> {
      try {
        const { deleted, left } = await api.emptyTrash();
        tellDeleted(deleted, left);
      } catch (error) {
        say(describe(error, t), { error: true });
      }
      latest.current.onChanged();
    },
    /** Rejects: the dialog says why. */
    async rename(entry: Entry, name: string): Promise<void> {
      const renamed = await api.rename(entry.id, name);
      say(t("done.renamed", { name: renamed.name }));
      latest.current.onChanged();
    },
    async createFolder(parentId: number, name: string): Promise<void> {
      const made = await api.createFolder(parentId, name);
      say(t("done.created", { name: made.name }));
      latest.current.onChanged();
    },
    /** Rejects: the preview says why. */
    downloadOne: (entry: Entry): Promise<void> => downloadOne(api, entry),
    async download(entries: readonly Entry[]): Promise<void> {
      const failed = await downloadAll(api, entries, signal, onProgress(entries.length));
      setProgress(undefined);
      tellFailed(failed, say, t);
    },
  };
}

/** Whether what it is done to is not in the list any more: what an undo brings back comes into it. */
function goesBy(
  operation: BatchOperation,
  { folderId, trashed }: Listed,
  parentId: number | undefined,
): boolean {
  if (operation === "restore") return trashed;
  return operation !== "move" || (folderId !== undefined && folderId !== parentId);
}

/** Other failures leave open whether it was done, and are told. */
async function persistTooMany<T>(api: Api, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const outcome = await api.persist(signal, async () => {
    try {
      return { value: await work() };
    } catch (error) {
      if (error instanceof ApiError && error.code === Code.TOO_MANY) throw error;
      return { error };
    }
  });
  if ("error" in outcome) throw outcome.error;
  return outcome.value;
}

export type FileActions = ReturnType<typeof useFileActions>;
