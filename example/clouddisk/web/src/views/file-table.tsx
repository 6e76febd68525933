import type { RefObject } from "preact";
import { useCallback, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Entry, SortColumn } from "../api.js";
import { fileKind, formatBytes, formatTime, formatWholeTime } from "../format.js";
import { useI18n } from "../i18n/context.js";
import type { Translate } from "../i18n/translate.js";
import { focusRow, onTableKey, rowAt } from "./file-keys.js";
import { Icon } from "./icons.js";
import { memo } from "./memo.js";
import { Menu, type MenuItem } from "./menu.js";
import { Name } from "./name.js";
import type { Selecting } from "./selection.js";
import { type Rows, useRows } from "./window.js";

export interface Sorting {
  column: SortColumn;
  descending: boolean;
}

interface Props {
  entries: readonly Entry[];
  /** How many there are, listed so far or not. */
  total: number;
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

/** Of a long list only the rows in the window are there, and the one that has the focus. */
export function FileTable(props: Props) {
  const { entries, total, selecting, trashed, showPath } = props;
  const { t } = useI18n();
  const all = entries.length >= total && entries.every(({ id }) => selecting.selected.has(id));
  const some = !all && entries.some(({ id }) => selecting.selected.has(id));
  const body = useRef<HTMLTableSectionElement>(null);
  const { rows, rowPx, whole } = useRows(body, entries.length);
  const [focused, goTo, onFocus] = useRowFocus(body);
  const drawn = drawnRows(rows, whole ? undefined : focused, entries.length);
  const latest = useRef(props);
  latest.current = props;
  return (
    <table
      class={showPath ? "files places" : "files"}
      aria-rowcount={total + 1}
      onKeyDown={(event) => onTableKey(event, { ...props, goTo })}
    >
      <thead>
        <tr aria-rowindex={1}>
          <th class="cell-check">
            <label>
              <input
                type="checkbox"
                checked={all || selecting.choosingAll}
                indeterminate={some}
                aria-label={t("files.selectAll")}
                onChange={(event) => selecting.chooseAll(event.currentTarget.checked)}
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
      <tbody ref={body} onFocusCapture={onFocus}>
        {drawn.flatMap(({ first, end }, index) => [
          // One list of keys: a row that leaves the window with the focus stays the same row.
          <Gap key={`gap ${index}`} px={(first - (drawn[index - 1]?.end ?? 0)) * rowPx} />,
          ...entries
            .slice(first, end)
            .map((entry, offset) => (
              <MemoRow
                key={entry.id}
                {...{ entry, latest, trashed, showPath }}
                at={first + offset}
                selected={selecting.selected.has(entry.id)}
              />
            )),
        ])}
        <Gap key="gap" px={(entries.length - (drawn.at(-1)?.end ?? 0)) * rowPx} />
      </tbody>
    </table>
  );
}

/** The rows that are not drawn, as high as they would be. */
function Gap({ px }: { px: number }) {
  if (px <= 0) return null;
  return (
    // biome-ignore lint/a11y/noAriaHiddenOnFocusable: a row is not focusable, and this one is none.
    <tr class="gap" aria-hidden="true">
      <td colSpan={5} style={{ height: `${px}px` }} />
    </tr>
  );
}

/** Those in the window, and the one with the focus beside them. */
function drawnRows(rows: Rows, focused: number | undefined, count: number): Rows[] {
  if (focused === undefined || focused >= count) return [rows];
  const alone = { first: focused, end: focused + 1 };
  if (focused < rows.first) return [alone, rows];
  return focused >= rows.end ? [rows, alone] : [rows];
}

/** Which row has the focus, how to give it to another one, and what hears of it. */
function useRowFocus(
  body: RefObject<HTMLElement>,
): [number | undefined, (at: number, control: string) => void, (event: FocusEvent) => void] {
  const [focused, setFocused] = useState<number>();
  const wanted = useRef<{ at: number; control: string }>();
  const [asked, ask] = useState(0);
  const goTo = useCallback((at: number, control: string) => {
    wanted.current = { at, control };
    setFocused(at);
    ask((before) => before + 1);
  }, []);
  // The row is there by now.
  useLayoutEffect(() => {
    if (wanted.current === undefined) return;
    const { at, control } = wanted.current;
    wanted.current = undefined;
    focusRow(body.current?.querySelector(`tr[data-at="${at}"]`), control);
  }, [asked, body]);
  const onFocus = useCallback(({ target }: FocusEvent) => setFocused(rowAt(target)), []);
  return [focused === -1 ? undefined : focused, goTo, onFocus];
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
      items={() =>
        columns.map((column) => ({
          icon: column !== sorting.column ? "none" : sorting.descending ? "down" : "up",
          label: t(column === "updated" && trashed ? "files.trashedAt" : names[column]),
          checked: column === sorting.column,
          run: () => onSort(sortedBy(column, sorting)),
        }))
      }
    >
      <Icon name="sort" />
    </Menu>
  );
}

interface RowProps {
  entry: Entry;
  at: number;
  selected: boolean;
  trashed: boolean;
  showPath: boolean;
  /** Of the table. */
  latest: RefObject<Props>;
}

function Row({ entry, at, selected, trashed, showPath, latest }: RowProps) {
  const { t, language } = useI18n();
  const { id, name, folder, sizeBytes } = entry;
  const kind = folder ? "folder" : fileKind(name);
  const atMs = trashed ? entry.trashedAtMs : entry.updatedAtMs;
  const locale = language === "zh" ? "zh-CN" : "en";
  const time = formatTime(atMs, locale);
  const size = folder ? "—" : formatBytes(sizeBytes);
  const state = entry.state === "failed" ? t("files.failed") : "";
  return (
    <tr class={selected ? "selected" : ""} data-at={at} aria-rowindex={at + 2}>
      <td class="cell-check">
        <label>
          <input
            type="checkbox"
            checked={selected}
            aria-label={t("files.select", { name })}
            onClick={({ currentTarget, shiftKey }) =>
              latest.current?.selecting.choose(id, currentTarget.checked, shiftKey)
            }
          />
        </label>
      </td>
      <td class="cell-name">
        <div class="name-line">
          <button
            type="button"
            class="file-name"
            onClick={() => latest.current?.onOpen(entry)}
            disabled={trashed}
          >
            <span class={`kind ${kind}`}>
              <Icon name={kind === "other" ? "file" : kind} />
            </span>
            <span class="file-text">
              <span class="file-title" title={name}>
                <Name name={name} />
                {folder && <span class="hidden"> ({t("files.folder")})</span>}
              </span>
              {showPath && <span class="file-path">{t("files.in", { path: placeOf(entry, t) })}</span>}
              <span class="file-small">
                {folder ? time : `${size} · ${time}`}
                {state !== "" && ` · ${state}`}
              </span>
            </span>
          </button>
          {state !== "" && <span class="badge some">{state}</span>}
        </div>
      </td>
      <td class="cell-size">{size}</td>
      <td class="cell-updated">
        <time dateTime={new Date(atMs).toISOString()} title={formatWholeTime(atMs, locale)}>
          {time}
        </time>
      </td>
      <td class="cell-actions">
        <Menu label={t("files.actionsOf", { name })} items={() => latest.current?.menuOf(entry) ?? []}>
          <Icon name="more" />
        </Menu>
      </td>
    </tr>
  );
}

/** Of hundreds of rows few change at a time. What is done with one is asked of the table when it is done. */
const MemoRow = memo(Row, ["entry", "at", "selected", "trashed", "showPath"]);
