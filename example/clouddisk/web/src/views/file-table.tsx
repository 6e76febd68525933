import type { Entry, SortColumn } from "../api.js";
import { fileKind, formatBytes, formatTime } from "../format.js";
import { useI18n } from "../i18n/context.js";
import type { Translate } from "../i18n/translate.js";
import { onTableKey } from "./file-keys.js";
import { Icon } from "./icons.js";
import { Menu, type MenuItem } from "./menu.js";
import type { Selecting } from "./selection.js";

export interface Sorting {
  column: SortColumn;
  descending: boolean;
}

interface Props {
  entries: readonly Entry[];
  selecting: Selecting;
  sorting: Sorting;
  onSort: (sorting: Sorting) => void;
  onOpen: (entry: Entry) => void;
  onRename: (entry: Entry) => void;
  /** Into the trash, or out of it for good. */
  onRemove: (entries: readonly Entry[]) => void;
  menuOf: (entry: Entry) => readonly MenuItem[];
  trashed: boolean;
  /** A search and the trash show where things are. */
  showPath: boolean;
}

export function FileTable(props: Props) {
  const { entries, selecting, trashed } = props;
  const { t } = useI18n();
  const all = entries.every(({ id }) => selecting.selected.has(id));
  const some = !all && entries.some(({ id }) => selecting.selected.has(id));
  return (
    <table class="files" onKeyDown={(event) => onTableKey(event, props)}>
      <thead>
        <tr>
          <th class="cell-check">
            <label>
              <input
                type="checkbox"
                checked={all}
                indeterminate={some}
                aria-label={t("files.selectAll")}
                onChange={() => selecting.chooseAll(!all)}
              />
            </label>
          </th>
          <Heading {...props} column="name" label={t("files.name")} />
          <Heading {...props} column="size" label={t("files.size")} />
          <Heading {...props} column="updated" label={t(trashed ? "files.trashedAt" : "files.updated")} />
          <th class="cell-actions">
            <span class="hidden">{t("files.actions")}</span>
            <SortMenu {...props} />
          </th>
        </tr>
      </thead>
      <tbody>
        {entries.map((entry) => (
          <Row key={entry.id} {...props} entry={entry} />
        ))}
      </tbody>
    </table>
  );
}

function Heading({ column, label, sorting, onSort }: Props & { column: SortColumn; label: string }) {
  const { t } = useI18n();
  const active = sorting.column === column;
  const order = active ? (sorting.descending ? "descending" : "ascending") : "none";
  return (
    <th class={`cell-${column}`} aria-sort={order}>
      <button
        type="button"
        title={t("files.sortBy", { column: label })}
        onClick={() => onSort(sortedBy(column, sorting))}
      >
        {label}
        {active && <Icon name="down" class={sorting.descending ? "" : "turned"} />}
      </button>
    </th>
  );
}

/** The folders above it; the top by its name. */
function placeOf({ path }: Entry, t: Translate): string {
  return path === "" ? t("files.title") : path.split("/").join(" › ");
}

/** The same column again: the other way round. */
function sortedBy(column: SortColumn, before: Sorting): Sorting {
  return { column, descending: before.column === column && !before.descending };
}

/** On a phone, where there is one column. */
function SortMenu({ sorting, onSort, trashed }: Props) {
  const { t } = useI18n();
  const names = { name: "files.name", size: "files.size", updated: "files.updated" } as const;
  const columns = ["name", "size", "updated"] as const;
  return (
    <Menu
      class="icon-button narrow-only"
      label={t("files.sort")}
      items={columns.map((column) => ({
        icon: column !== sorting.column ? "none" : sorting.descending ? "down" : "up",
        label: t(column === "updated" && trashed ? "files.trashedAt" : names[column]),
        checked: column === sorting.column,
        run: () => onSort(sortedBy(column, sorting)),
      }))}
    >
      <Icon name="sort" />
    </Menu>
  );
}

function Row({ entry, selecting, onOpen, menuOf, trashed, showPath }: Props & { entry: Entry }) {
  const { t, language } = useI18n();
  const { id, name, folder, sizeBytes } = entry;
  const kind = folder ? "folder" : fileKind(name);
  const atMs = trashed ? entry.trashedAtMs : entry.updatedAtMs;
  const time = formatTime(atMs, language === "zh" ? "zh-CN" : "en");
  const size = folder ? "—" : formatBytes(sizeBytes);
  const state = entry.state === "failed" ? t("files.failed") : "";
  const selected = selecting.selected.has(id);
  return (
    <tr class={selected ? "selected" : ""}>
      <td class="cell-check">
        <label>
          <input
            type="checkbox"
            checked={selected}
            aria-label={t("files.select", { name })}
            onClick={(event) => selecting.choose(id, event.currentTarget.checked, event.shiftKey)}
          />
        </label>
      </td>
      <td class="cell-name">
        <div class="name-line">
          <button type="button" class="file-name" onClick={() => onOpen(entry)} disabled={trashed}>
            <span class={`kind ${kind}`}>
              <Icon name={kind === "other" ? "file" : kind} />
            </span>
            <span class="file-text">
              <span class="file-title" title={name}>
                {name}
                {folder && <span class="hidden"> ({t("files.folder")})</span>}
              </span>
              {showPath && <span class="file-path">{t("files.in", { path: placeOf(entry, t) })}</span>}
              <span class="file-small">{folder ? time : `${size} · ${time}`}</span>
            </span>
          </button>
          {state !== "" && <span class="badge some">{state}</span>}
        </div>
      </td>
      <td class="cell-size">{size}</td>
      <td class="cell-updated">
        <time dateTime={new Date(atMs).toISOString()} title={new Date(atMs).toLocaleString(language)}>
          {time}
        </time>
      </td>
      <td class="cell-actions">
        <Menu label={t("files.actionsOf", { name })} items={menuOf(entry)}>
          <Icon name="more" />
        </Menu>
      </td>
    </tr>
  );
}
