import { useEffect, useRef, useState } from "preact/hooks";
import type { Api, Entry } from "../api.js";
import { describe } from "../describe.js";
import { useI18n } from "../i18n/context.js";
import { Dialog } from "./dialog.js";
import { Icon } from "./icons.js";

/** Asks for a name; what goes wrong is said in it, and it stays. */
export function NameDialog(props: {
  title: string;
  label: string;
  action: string;
  initial: string;
  onSubmit: (name: string) => Promise<void>;
  onClose: () => void;
}) {
  const { title, label, action, initial, onSubmit, onClose } = props;
  const { t } = useI18n();
  const [name, setName] = useState(initial);
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    try {
      await onSubmit(name.trim());
      onClose();
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form onSubmit={submit}>
        <label class="field">
          <span>{label}</span>
          <input
            data-focus
            value={name}
            required
            maxLength={255}
            onInput={(event) => setName(event.currentTarget.value)}
            onFocus={(event) => {
              // The part before the extension, as file managers do.
              const dot = initial.lastIndexOf(".");
              event.currentTarget.setSelectionRange(0, dot > 0 ? dot : initial.length);
            }}
          />
        </label>
        <p class="form-error" role="alert">
          {error === undefined ? "" : describe(error, t)}
        </p>
        <footer>
          <button type="button" class="button" onClick={onClose}>
            {t("action.cancel")}
          </button>
          <button type="submit" class="button primary" disabled={busy || name.trim() === ""}>
            {action}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}

export function ConfirmDialog(props: {
  title: string;
  text: string;
  action: string;
  onConfirm: () => void;
  onClose: () => void;
}) {
  const { title, text, action, onConfirm, onClose } = props;
  const { t } = useI18n();
  return (
    <Dialog title={title} onClose={onClose}>
      <p>{text}</p>
      <footer>
        <button type="button" class="button" data-focus onClick={onClose}>
          {t("action.cancel")}
        </button>
        <button
          type="button"
          class="button danger"
          onClick={() => {
            onClose();
            onConfirm();
          }}
        >
          {action}
        </button>
      </footer>
    </Dialog>
  );
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
  const [folders, setFolders] = useState<readonly Entry[]>();
  const [parents, setParents] = useState<readonly Entry[]>([]);
  const [error, setError] = useState<unknown>();
  const list = useRef<HTMLUListElement>(null);
  useEffect(() => {
    const controller = new AbortController();
    setFolders(undefined);
    setError(undefined);
    // The folder that was gone into is not there to have the focus any more.
    list.current?.focus();
    api.list({ parentId: folderId, sort: "name", limit: 1000 }, controller.signal).then(
      (page) => {
        setFolders(page.entries.filter((entry) => entry.folder));
        setParents(page.parents);
      },
      (failure: unknown) => {
        if (!controller.signal.aborted) setError(failure);
      },
    );
    return () => controller.abort();
  }, [api, folderId]);
  const moved = new Set(entries.map(({ id }) => id));
  const first = entries[0];
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
        {parents.map((parent) => (
          <span key={parent.id} class="crumb">
            <Icon name="chevron" />
            <button type="button" class="link" onClick={() => setFolderId(parent.id)}>
              {parent.name}
            </button>
          </span>
        ))}
      </nav>
      <ul
        class="pick-list"
        ref={list}
        tabIndex={-1}
        aria-label={parents.at(-1)?.name ?? t("files.title")}
        aria-busy={folders === undefined}
      >
        {folders?.length === 0 && <li class="muted">{t("move.noFolders")}</li>}
        {folders?.map(({ id, name }) => (
          <li key={id}>
            <button type="button" disabled={moved.has(id)} onClick={() => setFolderId(id)}>
              <span class="kind folder">
                <Icon name="folder" />
              </span>
              {name}
            </button>
          </li>
        ))}
      </ul>
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
