import type { Entry, EntryPage } from "../api.js";
import { useI18n } from "../i18n/context.js";
import type { Route } from "../route.js";
import type { UploadQueue } from "../upload/queue.js";
import { Icon } from "./icons.js";
import { Name } from "./name.js";
import type { Opened } from "./opened-dialog.js";
import { UploadButtons } from "./upload-buttons.js";

interface Props {
  route: Route;
  go: (route: Route) => void;
  queue: UploadQueue;
  page: EntryPage | undefined;
  folderId: number;
  onOpened: (opened: Opened) => void;
}

/** Where one is, and what can be done there. */
export function FilesHead(props: Props) {
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
            <span aria-current="page">
              <Name name={name} />
            </span>
          ) : (
            <button type="button" class="link" onClick={() => go({ view: "files", folderId: id })}>
              <Name name={name} />
            </button>
          )}
        </span>
      ))}
    </nav>
  );
}
