import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Api, Entry } from "../api.js";
import { describe } from "../describe.js";
import { useI18n } from "../i18n/context.js";
import { Dialog } from "./dialog.js";
import { Icon } from "./icons.js";
import { Name } from "./name.js";

interface Folders {
  /** Undefined: they are being asked for. */
  inside: readonly Entry[] | undefined;
  above: readonly Entry[];
  error: unknown;
}

/** All folders in a folder, and those it is in. Folders come before files: at the first file there are no more. */
async function foldersOf(api: Api, parentId: number, signal: AbortSignal): Promise<Folders> {
  const inside: Entry[] = [];
  for (let cursor = ""; ; ) {
    const page = await api.list({ parentId, sort: "name", limit: 1000, cursor }, signal);
    inside.push(...page.entries.filter(({ folder }) => folder));
    cursor = page.nextCursor;
    if (cursor === "" || page.entries.some(({ folder }) => !folder)) {
      return { inside, above: page.parents, error: undefined };
    }
  }
}

function useFolders(api: Api, folderId: number): Folders {
  const [folders, setFolders] = useState<Folders>({ inside: undefined, above: [], error: undefined });
  useEffect(() => {
    const controller = new AbortController();
    setFolders(({ above }) => ({ inside: undefined, above, error: undefined }));
    foldersOf(api, folderId, controller.signal).then(setFolders, (error: unknown) => {
      if (!controller.signal.aborted) setFolders((before) => ({ ...before, error }));
    });
    return () => controller.abort();
  }, [api, folderId]);
  return folders;
}

/** Walks through the folders to where things shall go. */
export function MoveDialog(props: {
  api: Api;
  entries: readonly Entry[];
  onMove: (folderId: number) => void;
  onClose: () => void;
}) {
  const { api, entries, onMove, onClose } = props;
  const { t } = useI18n();
  const [folderId, setFolderId] = useState(entries[0]?.parentId ?? 0);
  const { inside, above, error } = useFolders(api, folderId);
  const [first] = entries;
  const title =
    entries.length === 1 && first
      ? t("move.title", { name: first.name })
      : t("move.many", { count: entries.length });
  return (
    <Dialog title={title} onClose={onClose}>
      <nav class="crumbs small" aria-label={t("files.path")}>
        <button type="button" class="link" onClick={() => setFolderId(0)}>
          {t("files.title")}
        </button>
        {above.map(({ id, name }) => (
          <span key={id} class="crumb">
            <Icon name="chevron" />
            <button type="button" class="link" onClick={() => setFolderId(id)}>
              <Name name={name} />
            </button>
          </span>
        ))}
      </nav>
      <FolderList
        label={above.at(-1)?.name ?? t("files.title")}
        folderId={folderId}
        folders={inside}
        moved={entries}
        onOpen={setFolderId}
      />
      <p class="form-error" role="alert">
        {error === undefined ? "" : describe(error, t)}
      </p>
      <footer>
        <button type="button" class="button" onClick={onClose}>
          {t("action.cancel")}
        </button>
        <button
          type="button"
          class="button primary"
          disabled={entries.every(({ parentId }) => parentId === folderId)}
          onClick={() => {
            onClose();
            onMove(folderId);
          }}
        >
          {t("move.here")}
        </button>
      </footer>
    </Dialog>
  );
}

function FolderList(props: {
  label: string;
  folderId: number;
  folders: readonly Entry[] | undefined;
  moved: readonly Entry[];
  onOpen: (folderId: number) => void;
}) {
  const { label, folderId, folders, moved, onOpen } = props;
  const { t } = useI18n();
  const list = useRef<HTMLUListElement>(null);
  const ids = useMemo(() => new Set(moved.map(({ id }) => id)), [moved]);
  // The folder that was gone into is not there to have the focus any more.
  useEffect(() => list.current?.focus(), [folderId]);
  return (
    <ul class="pick-list" ref={list} tabIndex={-1} aria-label={label} aria-busy={folders === undefined}>
      {folders?.length === 0 && <li class="muted">{t("move.noFolders")}</li>}
      {folders?.map(({ id, name }) => (
        <li key={id}>
          <button type="button" disabled={ids.has(id)} onClick={() => onOpen(id)}>
            <span class="kind folder">
              <Icon name="folder" />
            </span>
            <Name name={name} />
          </button>
        </li>
      ))}
    </ul>
  );
}
