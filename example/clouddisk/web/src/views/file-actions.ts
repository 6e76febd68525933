import type { Api, Entry } from "../api.js";
import { describe } from "../describe.js";
import { useI18n } from "../i18n/context.js";
import { useToast } from "./toasts.js";

/** What is done with entries: each says how it went, and has the list shown anew. */
export function useFileActions(api: Api, onChanged: () => void) {
  const { t } = useI18n();
  const say = useToast();

  /** One after the other; what was done before a failure stays done, and is seen. */
  const each = async (
    entries: readonly Entry[],
    act: (entry: Entry) => Promise<void>,
    onDone: (count: number) => void,
  ): Promise<void> => {
    let count = 0;
    try {
      for (const entry of entries) {
        await act(entry);
        count++;
      }
      onDone(count);
    } catch (error) {
      say(describe(error, t), { error: true });
    }
    onChanged();
  };

  const restore = (entries: readonly Entry[]): Promise<void> =>
    each(
      entries,
      ({ id }) => api.restore(id),
      (count) => say(t("done.restored", { count })),
    );

  return {
    restore,
    trash: (entries: readonly Entry[]): Promise<void> =>
      each(
        entries,
        ({ id }) => api.trash(id),
        (count) => say(t("done.trashed", { count }), { undo: () => void restore(entries) }),
      ),
    remove: (entries: readonly Entry[]): Promise<void> =>
      each(
        entries,
        ({ id }) => api.remove(id),
        (count) => say(t("done.deleted", { count })),
      ),
    move: (entries: readonly Entry[], parentId: number): Promise<void> =>
      each(
        entries,
        ({ id }) => api.move(id, parentId),
        (count) => say(t("done.moved", { count })),
      ),
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
    async download(entries: readonly Entry[]): Promise<void> {
      try {
        for (const entry of entries) startDownload(await api.downloadUrl(entry), entry.name);
      } catch (error) {
        say(describe(error, t), { error: true });
      }
    },
  };
}

/** The browser does it, with its own progress and pause. */
function startDownload(url: string, name: string): void {
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
}
