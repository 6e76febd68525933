import { type Api, ApiError, Code, type Entry } from "../api.js";
import { describe } from "../describe.js";
import { useI18n } from "../i18n/context.js";
import { useToast } from "./toasts.js";

interface Outcome {
  done: Entry[];
  failed: Array<{ name: string; error: unknown }>;
}

/** One after the other: what can be done is done. */
async function each(entries: readonly Entry[], act: (entry: Entry) => Promise<void>): Promise<Outcome> {
  const outcome: Outcome = { done: [], failed: [] };
  for (const entry of entries) {
    try {
      await act(entry);
      outcome.done.push(entry);
    } catch (error) {
      outcome.failed.push({ name: entry.name, error });
      // The others would fare no better.
      if (!(error instanceof ApiError) || error.temporary || error.code === Code.TOKEN) break;
    }
  }
  return outcome;
}

/** What is done with entries: each says how it went, and has the list shown anew. */
export function useFileActions(api: Api, onChanged: () => void) {
  const { t } = useI18n();
  const say = useToast();
  const tell =
    (key: "done.restored" | "done.deleted" | "done.moved") =>
    ({ length }: readonly Entry[]): void =>
      say(t(key, { count: length }));
  const doAll = async (
    entries: readonly Entry[],
    act: (entry: Entry) => Promise<void>,
    onDone: (done: readonly Entry[]) => void,
  ): Promise<void> => {
    const { done, failed } = await each(entries, act);
    if (done.length > 0) onDone(done);
    const [first, ...others] = failed;
    if (first !== undefined) {
      const facts = { name: first.name, why: describe(first.error, t), count: others.length };
      say(t(others.length === 0 ? "error.of" : "error.ofMany", facts), { error: true });
    }
    onChanged();
  };

  const restore = (entries: readonly Entry[]): Promise<void> =>
    doAll(entries, ({ id }) => api.restore(id), tell("done.restored"));

  const downloadOne = async (entry: Entry): Promise<void> =>
    startDownload(await api.downloadUrl(entry), entry.name);

  return {
    restore,
    trash: (entries: readonly Entry[]): Promise<void> =>
      doAll(
        entries,
        ({ id }) => api.trash(id),
        (done) => say(t("done.trashed", { count: done.length }), { undo: () => void restore(done) }),
      ),
    remove: (entries: readonly Entry[]): Promise<void> =>
      doAll(entries, ({ id }) => api.remove(id), tell("done.deleted")),
    move: (entries: readonly Entry[], parentId: number): Promise<void> =>
      doAll(entries, ({ id }) => api.move(id, parentId), tell("done.moved")),
    async emptyTrash(): Promise<void> {
      try {
        say(t("done.deleted", { count: await api.emptyTrash() }));
      } catch (error) {
        say(describe(error, t), { error: true });
      }
      onChanged();
    },
    /** Rejects: the dialog says why. */
    async rename(entry: Entry, name: string): Promise<void> {
      const renamed = await api.rename(entry.id, name);
      say(t("done.renamed", { name: renamed.name }));
      onChanged();
    },
    async createFolder(parentId: number, name: string): Promise<void> {
      const made = await api.createFolder(parentId, name);
      say(t("done.created", { name: made.name }));
      onChanged();
    },
    /** Rejects: the preview says why. */
    downloadOne,
    async download(entries: readonly Entry[]): Promise<void> {
      try {
        for (const entry of entries) await downloadOne(entry);
      } catch (error) {
        say(describe(error, t), { error: true });
      }
    },
  };
}

export type FileActions = ReturnType<typeof useFileActions>;

/** The browser does it, with its own progress and pause. */
function startDownload(url: string, name: string): void {
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
}
