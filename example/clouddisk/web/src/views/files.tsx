import type { RefObject } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { type Api, ApiError, Code, type Entry, type EntryPage } from "../api.js";
import { describe } from "../describe.js";
import { useI18n } from "../i18n/context.js";
import type { Route } from "../route.js";
import type { UploadQueue } from "../upload/queue.js";
import { useDrop } from "./drop.js";
import { Empty, Skeleton } from "./empty.js";
import { type FileActions, useFileActions } from "./file-actions.js";
import { useKeptFocus } from "./file-keys.js";
import { FileTable, type Sorting } from "./file-table.js";
import { FilesHead } from "./files-head.js";
import { Icon } from "./icons.js";
import { useListing } from "./listing.js";
import type { MenuItem } from "./menu.js";
import { type Opened, OpenedDialog } from "./opened-dialog.js";
import { type Selecting, SelectionBar, useSelection } from "./selection.js";

interface Props {
  api: Api;
  route: Route;
  go: (route: Route) => void;
  queue: UploadQueue;
  version: number;
  onChanged: () => void;
}

const none: readonly Entry[] = [];

/** A folder, what a search finds, or the trash. */
export function Files(props: Props) {
  const { api, route, go, queue, version, onChanged } = props;
  const { t } = useI18n();
  const [sorting, setSorting] = useState<Sorting>({ column: "name", descending: false });
  const [opened, setOpened] = useState<Opened>();
  const { page, error, busy, more, all, drop } = useListing(api, route, sorting, version);
  const entries = page?.entries ?? none;
  const selecting = useSelection(entries, page?.nextCursor === "" ? undefined : all);
  const trashed = route.view === "trash";
  const listedId = route.view === "files" ? route.folderId : undefined;
  const onGone = (ids: ReadonlySet<number>): void => {
    drop(ids);
    selecting.forget(ids);
  };
  const actions = useFileActions(api, { onChanged, onGone, folderId: listedId, trashed });
  const section = useRef<HTMLElement>(null);
  useKeptFocus(section, page);
  const { chooseAll } = selecting;
  const query = route.view === "search" ? route.query : "";
  // Another search finds other things.
  useEffect(() => chooseAll(false), [query]);
  const folderId = listedId ?? 0;
  const dropping = useDrop(queue, trashed ? undefined : folderId);
  const chosen = entries.filter(({ id }) => selecting.selected.has(id));
  // The shell says it for the whole page.
  const told = error instanceof ApiError && error.code === Code.NETWORK ? undefined : error;
  return (
    <section class="browser" aria-busy={busy} ref={section}>
      <FilesHead route={route} go={go} queue={queue} page={page} onOpened={setOpened} folderId={folderId} />
      {(chosen.length > 0 || selecting.choosingAll || actions.progress !== undefined) && (
        <SelectionBar
          chosen={chosen}
          total={page?.total ?? 0}
          choosingAll={selecting.choosingAll}
          trashed={trashed}
          actions={actions}
          onOpened={setOpened}
          onClear={() => chooseAll(false)}
        />
      )}
      {told !== undefined && (
        <p class="notice" role="alert">
          {describe(told, t)}
          <button type="button" class="link" onClick={onChanged}>
            {t("app.retry")}
          </button>
        </p>
      )}
      {page === undefined && told === undefined && <Skeleton label={t("app.loading")} />}
      {page !== undefined && (
        <Listed
          {...{ page, route, go, busy, more, sorting, selecting, actions }}
          onSort={setSorting}
          onOpened={setOpened}
        />
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

/** What there is, or that there is nothing. */
function Listed(props: {
  page: EntryPage;
  route: Route;
  go: (route: Route) => void;
  busy: boolean;
  more: () => void;
  sorting: Sorting;
  onSort: (sorting: Sorting) => void;
  selecting: Selecting;
  actions: FileActions;
  onOpened: (opened: Opened) => void;
}) {
  const { page, route, go, busy, more, sorting, onSort, selecting, actions, onOpened } = props;
  const { t } = useI18n();
  const menuOf = useMenus(route, go, actions, onOpened);
  const { entries, nextCursor } = page;
  const trashed = route.view === "trash";
  const foot = useRef<HTMLDivElement>(null);
  useMoreBelow(foot, nextCursor !== "" && !busy, more);
  const total = Math.max(page.total, entries.length);
  if (entries.length === 0) return <Empty route={route} />;
  return (
    <>
      <FileTable
        entries={entries}
        total={total}
        selecting={selecting}
        sorting={sorting}
        onSort={onSort}
        onOpen={(entry) => {
          if (entry.folder) go({ view: "files", folderId: entry.id });
          else onOpened({ dialog: "preview", entry });
        }}
        onRename={(entry) => trashed || onOpened({ dialog: "rename", entry })}
        onRemove={(some) =>
          trashed ? onOpened({ dialog: "delete", entries: some }) : void actions.trash(some)
        }
        menuOf={menuOf}
        trashed={trashed}
        showPath={route.view !== "files"}
      />
      <div class="files-foot" ref={foot}>
        <span class="muted" role="status">
          {t("files.count", { shown: entries.length, total })}
        </span>
        {nextCursor !== "" && (
          <button type="button" class="button" onClick={more} disabled={busy}>
            {t("files.more")}
          </button>
        )}
      </div>
    </>
  );
}

/** The next page is asked for when the end of the list comes near. */
function useMoreBelow(foot: RefObject<HTMLElement>, wanted: boolean, more: () => void): void {
  useEffect(() => {
    if (!wanted || foot.current === null) return;
    const observer = new IntersectionObserver(
      ([seen]) => {
        if (seen?.isIntersecting) more();
      },
      { rootMargin: "1500px" },
    );
    observer.observe(foot.current);
    return () => observer.disconnect();
  }, [foot, wanted, more]);
}

/** What can be done with one entry. */
function useMenus(
  route: Route,
  go: (route: Route) => void,
  actions: FileActions,
  onOpened: (opened: Opened) => void,
): (entry: Entry) => MenuItem[] {
  const { t } = useI18n();
  const ofTrash = (entry: Entry): MenuItem[] => [
    { icon: "restore", label: t("action.restore"), run: () => void actions.restore([entry]) },
    {
      icon: "trash",
      label: t("action.delete"),
      run: () => onOpened({ dialog: "delete", entries: [entry] }),
      danger: true,
    },
  ];
  const ofFile = (entry: Entry): MenuItem[] => [
    { icon: "eye", label: t("action.preview"), run: () => onOpened({ dialog: "preview", entry }) },
    { icon: "download", label: t("action.download"), run: () => void actions.download([entry]) },
  ];
  const toFolder = (label: string, folderId: number): MenuItem => ({
    icon: "folder",
    label,
    run: () => go({ view: "files", folderId }),
  });
  return (entry) => {
    if (route.view === "trash") return ofTrash(entry);
    return [
      ...(entry.folder ? [toFolder(t("action.open"), entry.id)] : ofFile(entry)),
      ...(route.view === "search" ? [toFolder(t("action.openParent"), entry.parentId)] : []),
      { icon: "edit", label: t("action.rename"), run: () => onOpened({ dialog: "rename", entry }) },
      { icon: "move", label: t("action.move"), run: () => onOpened({ dialog: "move", entries: [entry] }) },
      { icon: "trash", label: t("action.trash"), run: () => void actions.trash([entry]), danger: true },
    ];
  };
}
