import type { Entry, SortColumn } from "../api.js";
import { fileKind, formatBytes, formatTime } from "../format.js";
import { useI18n } from "../i18n/context.js";
import { Icon } from "./icons.js";
import { Menu, type MenuItem } from "./parts.js";

export interface Sorting {
  column: SortColumn;
  descending: boolean;
}

interface Props {
  entries: readonly Entry[];
  selected: ReadonlySet<number>;
  onSelect: (ids: readonly number[], on: boolean) => void;
  /** undefined: the order is the disk's own. */
  sorting: Sorting | undefined;
  onSort: (sorting: Sorting) => void;
  onOpen: (entry: Entry) => void;
  actionsOf: (entry: Entry) => readonly MenuItem[];
  trashed: boolean;
  /** A search and the trash show where things are. */
  showPath: boolean;
}

export function FileTable(props: Props) {
  const { entries, selected, onSelect, trashed } = props;
  const { t } = useI18n();
  const all = entries.length > 0 && entries.every(({ id }) => selected.has(id));
  return (
    <table class="files">
      <thead>
        <tr>
          <th class="cell-check">
            <input
              type="checkbox"
              checked={all}
              aria-label={t("files.selectAll")}
              onChange={() =>
                onSelect(
                  entries.map(({ id }) => id),
                  !all,
                )
              }
            />
          </th>
          <Heading {...props} column="name" label={t("files.name")} />
          <Heading {...props} column="size" label={t("files.size")} />
          <Heading {...props} column="updated" label={t(trashed ? "files.trashedAt" : "files.updated")} />
          <th class="cell-actions">
            <span class="hidden">{t("files.actions")}</span>
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
  const active = sorting?.column === column;
  const order = active ? (sorting.descending ? "descending" : "ascending") : "none";
  if (sorting === undefined) return <th class={`cell-${column}`}>{label}</th>;
  return (
    <th class={`cell-${column}`} aria-sort={order}>
      <button
        type="button"
        title={t("files.sortBy", { column: label })}
        onClick={() => onSort({ column, descending: active ? !sorting.descending : false })}
      >
        {label}
        {active && <Icon name="down" class={sorting.descending ? "" : "turned"} />}
      </button>
    </th>
  );
}

function Row({ entry, selected, onSelect, onOpen, actionsOf, trashed, showPath }: Props & { entry: Entry }) {
  const { t, language } = useI18n();
  const { id, name, folder, sizeBytes } = entry;
  const kind = folder ? "folder" : fileKind(name);
  const atMs = trashed ? entry.trashedAtMs : entry.updatedAtMs;
  const time = formatTime(atMs, language === "zh" ? "zh-CN" : "en");
  const size = folder ? "—" : formatBytes(sizeBytes);
  const state = entry.state === "failed" ? t("files.failed") : "";
  return (
    <tr class={selected.has(id) ? "selected" : ""}>
      <td class="cell-check">
        <input
          type="checkbox"
          checked={selected.has(id)}
          aria-label={t("files.select", { name })}
          onChange={(event) => onSelect([id], event.currentTarget.checked)}
        />
      </td>
      <td class="cell-name">
        <button type="button" class="file-name" onClick={() => onOpen(entry)} disabled={trashed}>
          <span class={`kind ${kind}`}>
            <Icon name={kind === "other" ? "file" : kind} />
          </span>
          <span class="file-text">
            <span class="file-title" title={name}>
              {name}
              {folder && <span class="hidden"> ({t("files.folder")})</span>}
            </span>
            {showPath && (
              <span class="file-path">{t("files.in", { path: entry.path === "" ? "/" : entry.path })}</span>
            )}
            <span class="file-small">{folder ? time : `${size} · ${time}`}</span>
          </span>
        </button>
        {state !== "" && <span class="badge some">{state}</span>}
      </td>
      <td class="cell-size">{size}</td>
      <td class="cell-updated">
        <time dateTime={new Date(atMs).toISOString()} title={new Date(atMs).toLocaleString(language)}>
          {time}
        </time>
      </td>
      <td class="cell-actions">
        <Menu label={t("files.actionsOf", { name })} items={actionsOf(entry)}>
          <Icon name="more" />
        </Menu>
      </td>
    </tr>
  );
}
