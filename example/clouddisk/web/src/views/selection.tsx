import { useCallback, useRef, useState } from "preact/hooks";
import type { Entry } from "../api.js";
import { useI18n } from "../i18n/context.js";
import type { FileActions } from "./file-actions.js";
import type { Opened } from "./opened-dialog.js";
import { IconButton } from "./parts.js";

export interface Selecting {
  selected: ReadonlySet<number>;
  /** With `through`, everything from the one chosen before to this one. */
  choose: (id: number, on: boolean, through: boolean) => void;
  chooseAll: (on: boolean) => void;
}

/** Which of these are chosen. */
export function useSelection(entries: readonly Entry[]): Selecting {
  const [selected, setSelected] = useState<ReadonlySet<number>>(new Set());
  const last = useRef<number>();
  const choose = useCallback(
    (id: number, on: boolean, through: boolean) => {
      const ids = entries.map((entry) => entry.id);
      const from = through && last.current !== undefined ? ids.indexOf(last.current) : -1;
      const to = ids.indexOf(id);
      const range = from < 0 || to < 0 ? [id] : ids.slice(Math.min(from, to), Math.max(from, to) + 1);
      last.current = id;
      setSelected((before) => {
        const after = new Set(before);
        for (const one of range) on ? after.add(one) : after.delete(one);
        return after;
      });
    },
    [entries],
  );
  const chooseAll = useCallback(
    (on: boolean) => {
      last.current = undefined;
      setSelected(new Set(on ? entries.map(({ id }) => id) : []));
    },
    [entries],
  );
  return { selected, choose, chooseAll };
}

/** What can be done with all that is chosen. */
export function SelectionBar(props: {
  chosen: readonly Entry[];
  trashed: boolean;
  actions: FileActions;
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
