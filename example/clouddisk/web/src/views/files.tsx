import { useCallback, useState } from "preact/hooks";
import type { Api, Entry, EntryPage } from "../api.js";
import { describe } from "../describe.js";
import { useI18n } from "../i18n/context.js";
import type { Route } from "../route.js";
import type { UploadQueue } from "../upload/queue.js";
import { ConfirmDialog, MoveDialog, NameDialog } from "./dialogs.js";
import { useDrop } from "./drop.js";
import { useFileActions } from "./file-actions.js";
import { FileTable, type Sorting } from "./file-table.js";
import { Icon } from "./icons.js";
import { useListing } from "./listing.js";
import { IconButton, type MenuItem } from "./parts.js";
import { Preview } from "./preview.js";
import { UploadButtons } from "./upload-buttons.js";

export type Opened =
  | { dialog: "rename" | "preview"; entry: Entry }
  | { dialog: "move" | "delete"; entries: readonly Entry[] }
  | { dialog: "folder" | "empty" };

interface Props {
  api: Api;
  route: Route;
  go: (route: Route) => void;
  queue: UploadQueue;
  version: number;
  onChanged: () => void;
}

/** A folder, what a search finds, or the trash. */
export function Files(props: Props) {
  const { api, route, go, queue, version, onChanged } = props;
  const { t } = useI18n();
  const [sorting, setSorting] = useState<Sorting>({ column: "name", descending: false });
  const [selected, setSelected] = useState<ReadonlySet<number>>(new Set());
  const [opened, setOpened] = useState<Opened>();
  const { page, error, busy, more } = useListing(api, route, sorting, version);
  const actions = useFileActions(api, () => {
    setSelected(new Set());
    onChanged();
  });
  const folderId = route.view === "files" ? route.folderId : 0;
  const trashed = route.view === "trash";
  const dropping = useDrop(queue, trashed ? undefined : folderId);
  const onSelect = useCallback((ids: readonly number[], on: boolean) => {
    setSelected((before) => {
      const after = new Set(before);
      for (const id of ids) on ? after.add(id) : after.delete(id);
      return after;
    });
  }, []);
  const openEntry = (entry: Entry): void => {
    if (entry.folder) go({ view: "files", folderId: entry.id });
    else setOpened({ dialog: "preview", entry });
  };
  const actionsOf = (entry: Entry): MenuItem[] => {
    if (trashed) {
      return [
        { icon: "restore", label: t("action.restore"), run: () => void actions.restore([entry]) },
        {
          icon: "trash",
          label: t("action.delete"),
          run: () => setOpened({ dialog: "delete", entries: [entry] }),
          danger: true,
        },
      ];
    }
    return [
      ...(entry.folder
        ? [{ icon: "folder", label: t("action.open"), run: () => openEntry(entry) } as const]
        : [
            { icon: "eye", label: t("action.preview"), run: () => openEntry(entry) } as const,
            {
              icon: "download",
              label: t("action.download"),
              run: () => void actions.download([entry]),
            } as const,
          ]),
      { icon: "edit", label: t("action.rename"), run: () => setOpened({ dialog: "rename", entry }) },
      { icon: "move", label: t("action.move"), run: () => setOpened({ dialog: "move", entries: [entry] }) },
      { icon: "trash", label: t("action.trash"), run: () => void actions.trash([entry]), danger: true },
    ];
  };
  const chosen = page?.entries.filter(({ id }) => selected.has(id)) ?? [];
  return (
    <section class="browser" aria-busy={busy}>
      <Head {...props} page={page} onOpened={setOpened} folderId={folderId} />
      {chosen.length > 0 && (
        <Selection
          chosen={chosen}
          trashed={trashed}
          actions={actions}
          onOpened={setOpened}
          onClear={() => setSelected(new Set())}
        />
      )}
      {error !== undefined && (
        <p class="notice" role="alert">
          {describe(error, t)}
          <button type="button" class="link" onClick={onChanged}>
            {t("app.retry")}
          </button>
        </p>
      )}
      {page === undefined && error === undefined && <Skeleton label={t("app.loading")} />}
      {page !== undefined && page.entries.length === 0 && <Empty route={route} />}
      {page !== undefined && page.entries.length > 0 && (
        <>
          <FileTable
            entries={page.entries}
            selected={selected}
            onSelect={onSelect}
            sorting={sorting}
            onSort={setSorting}
            onOpen={openEntry}
            actionsOf={actionsOf}
            trashed={trashed}
            showPath={route.view !== "files"}
          />
          <div class="files-foot">
            <span class="muted" role="status">
              {t("files.count", {
                shown: page.entries.length,
                total: Math.max(page.total, page.entries.length),
              })}
            </span>
            {page.nextCursor !== "" && (
              <button type="button" class="button" onClick={more} disabled={busy}>
                {t("files.more")}
              </button>
            )}
          </div>
        </>
      )}
      {dropping && (
        <div class="drop" aria-hidden="true">
          <Icon name="upload" />
          {t("files.drop")}
        </div>
      )}
      <OpenedDialog
        opened={opened}
        api={api}
        actions={actions}
        folderId={folderId}
        onClose={() => setOpened(undefined)}
      />
    </section>
  );
}

type Actions = ReturnType<typeof useFileActions>;

function Head(
  props: Props & { page: EntryPage | undefined; folderId: number; onOpened: (opened: Opened) => void },
) {
  const { route, go, queue, page, folderId, onOpened } = props;
  const { t } = useI18n();
  if (route.view === "trash") {
    return (
      <div class="page-head">
        <h1>{t("trash.title")}</h1>
        {page !== undefined && page.entries.length > 0 && (
          <button type="button" class="button danger" onClick={() => onOpened({ dialog: "empty" })}>
            <Icon name="trash" />
            {t("trash.empty")}
          </button>
        )}
      </div>
    );
  }
  if (route.view === "search") {
    return (
      <div class="page-head">
        <h1>{t("files.results", { query: route.query })}</h1>
      </div>
    );
  }
  const parents = page?.parents ?? [];
  return (
    <div class="page-head">
      <h1 class="crumbs-title">
        <Crumbs parents={parents} go={go} />
      </h1>
      <div class="page-actions">
        <button type="button" class="button" onClick={() => onOpened({ dialog: "folder" })}>
          <Icon name="folderPlus" />
          <span>{t("files.newFolder")}</span>
        </button>
        <UploadButtons onPicked={(picked) => queue.add(picked, folderId)} />
      </div>
    </div>
  );
}

function Crumbs({ parents, go }: { parents: readonly Entry[]; go: (route: Route) => void }) {
  const { t } = useI18n();
  const steps = [{ id: 0, name: t("files.title") }, ...parents];
  return (
    <nav class="crumbs" aria-label={t("files.path")}>
      {steps.map(({ id, name }, at) => (
        <span key={id} class="crumb">
          {at > 0 && <Icon name="chevron" />}
          {at === steps.length - 1 ? (
            <span aria-current="page">{name}</span>
          ) : (
            <button type="button" class="link" onClick={() => go({ view: "files", folderId: id })}>
              {name}
            </button>
          )}
        </span>
      ))}
    </nav>
  );
}

function Selection(props: {
  chosen: readonly Entry[];
  trashed: boolean;
  actions: Actions;
  onOpened: (opened: Opened) => void;
  onClear: () => void;
}) {
  const { chosen, trashed, actions, onOpened, onClear } = props;
  const { t } = useI18n();
  const files = chosen.filter(({ folder }) => !folder);
  return (
    <div class="selection" role="toolbar" aria-label={t("files.actions")}>
      <IconButton icon="close" label={t("files.clearSelection")} onClick={onClear} />
      <span class="grow" role="status">
        {t("files.selected", { count: chosen.length })}
      </span>
      {trashed ? (
        <>
          <IconButton
            icon="restore"
            label={t("action.restore")}
            onClick={() => void actions.restore(chosen)}
          />
          <IconButton
            icon="trash"
            label={t("action.delete")}
            onClick={() => onOpened({ dialog: "delete", entries: chosen })}
          />
        </>
      ) : (
        <>
          {files.length > 0 && (
            <IconButton
              icon="download"
              label={t("action.download")}
              onClick={() => void actions.download(files)}
            />
          )}
          <IconButton
            icon="move"
            label={t("action.move")}
            onClick={() => onOpened({ dialog: "move", entries: chosen })}
          />
          <IconButton icon="trash" label={t("action.trash")} onClick={() => void actions.trash(chosen)} />
        </>
      )}
    </div>
  );
}

function Empty({ route }: { route: Route }) {
  const { t } = useI18n();
  const [title, hint, icon] = (
    {
      files: ["files.empty", "files.empty.hint", "upload"],
      search: ["files.none", "files.none.hint", "search"],
      trash: ["trash.nothing", "trash.nothing.hint", "trash"],
      services: ["files.none", "files.none.hint", "search"],
    } as const
  )[route.view];
  return (
    <div class="empty">
      <div class="empty-picture">
        <Icon name={icon} />
      </div>
      <h2>{t(title)}</h2>
      <p class="muted">{t(hint)}</p>
    </div>
  );
}

function Skeleton({ label }: { label: string }) {
  return (
    <div class="skeleton" role="status" aria-label={label}>
      {["a", "b", "c", "d", "e"].map((key) => (
        <div key={key} />
      ))}
    </div>
  );
}

function OpenedDialog(props: {
  opened: Opened | undefined;
  api: Api;
  actions: Actions;
  folderId: number;
  onClose: () => void;
}) {
  const { opened, api, actions, folderId, onClose } = props;
  const { t } = useI18n();
  switch (opened?.dialog) {
    case undefined:
      return null;
    case "preview":
      return (
        <Preview
          api={api}
          entry={opened.entry}
          onDownload={() => void actions.download([opened.entry])}
          onClose={onClose}
        />
      );
    case "rename":
      return (
        <NameDialog
          title={t("rename.title", { name: opened.entry.name })}
          label={t("files.name")}
          action={t("action.save")}
          initial={opened.entry.name}
          onSubmit={(name) => actions.rename(opened.entry, name)}
          onClose={onClose}
        />
      );
    case "folder":
      return (
        <NameDialog
          title={t("folder.title")}
          label={t("folder.name")}
          action={t("action.create")}
          initial=""
          onSubmit={(name) => actions.createFolder(folderId, name)}
          onClose={onClose}
        />
      );
    case "move":
      return (
        <MoveDialog
          api={api}
          entries={opened.entries}
          onMove={(to) => void actions.move(opened.entries, to)}
          onClose={onClose}
        />
      );
    case "delete": {
      const [first] = opened.entries;
      const count = opened.entries.length;
      const text =
        count === 1 ? t("trash.confirmOne", { name: first?.name ?? "" }) : t("trash.confirmMany", { count });
      return (
        <ConfirmDialog
          title={t("action.delete")}
          text={text}
          action={t("action.delete")}
          onConfirm={() => void actions.remove(opened.entries)}
          onClose={onClose}
        />
      );
    }
    case "empty":
      return (
        <ConfirmDialog
          title={t("trash.empty")}
          text={t("trash.confirmAll")}
          action={t("trash.empty")}
          onConfirm={() => void actions.emptyTrash()}
          onClose={onClose}
        />
      );
  }
}
