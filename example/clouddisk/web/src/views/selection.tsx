import { useCallback, useRef, useState } from "preact/hooks";
import type { Entry } from "../api.js";
import { describe } from "../describe.js";
import { useI18n } from "../i18n/context.js";
import type { FileActions } from "./file-actions.js";
import type { Opened } from "./opened-dialog.js";
import { IconButton } from "./parts.js";
import { useToast } from "./toasts.js";

export interface Selecting {
  selected: ReadonlySet<number>;
  /** With `through`, everything from the one chosen before to this one. */
  choose: (id: number, on: boolean, through: boolean) => void;
  /** All there is, listed so far or not. */
  chooseAll: (on: boolean) => void;
  /** These are not there any more; should they come back, nobody has chosen them. */
  forget: (ids: ReadonlySet<number>) => void;
  /** The rest of the list is on its way. */
  choosingAll: boolean;
}

/** Which of these are chosen. `loadAll` brings those that are not listed yet; undefined: there are none. */
export function useSelection(
  entries: readonly Entry[],
  loadAll: (() => Promise<readonly Entry[]>) | undefined,
): Selecting {
  const { t } = useI18n();
  const say = useToast();
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
  const forget = useCallback((ids: ReadonlySet<number>) => {
    setSelected((before) => new Set([...before].filter((id) => !ids.has(id))));
  }, []);
  // Whoever chooses otherwise meanwhile has changed his mind.
  const [choosing, setChoosing] = useState<symbol>();
  const asked = useRef<symbol>();
  const chooseAll = useCallback(
    (on: boolean) => {
      const set = (all: readonly Entry[]): void => setSelected(new Set(all.map(({ id }) => id)));
      last.current = undefined;
      asked.current = undefined;
      setChoosing(undefined);
      set(on ? entries : []);
      if (!on || loadAll === undefined) return;
      const mine = Symbol("choosing all");
      asked.current = mine;
      setChoosing(mine);
      loadAll()
        .then((all) => asked.current === mine && set(all))
        .catch((error: unknown) => asked.current === mine && say(describe(error, t), { error: true }))
        .finally(() => setChoosing((before) => (before === mine ? undefined : before)));
    },
    [entries, loadAll, say, t],
  );
  return { selected, choose, chooseAll, forget, choosingAll: choosing !== undefined };
}

/** What can be done with all that is chosen. */
export function SelectionBar(props: {
  chosen: readonly Entry[];
  /** Of the whole list. */
  total: number;
  choosingAll: boolean;
  trashed: boolean;
  actions: FileActions;
  onOpened: (opened: Opened) => void;
  onClear: () => void;
}) {
  const { chosen, total, choosingAll, trashed, actions, onOpened, onClear } = props;
  const { t } = useI18n();
  const files = chosen.filter(({ folder }) => !folder);
  const { progress } = actions;
  const busy = choosingAll || progress !== undefined;
  const selected = t("files.selected", { count: chosen.length });
  const said =
    progress !== undefined
      ? t("files.working", { ...progress })
      : choosingAll
        ? t("files.selecting", { total })
        : selected;
  return (
    <div class="selection" role="toolbar" aria-label={t("files.actions")}>
      <IconButton icon="close" label={t("files.clearSelection")} onClick={onClear} />
      <span class="grow" role="status">
        {said}
      </span>
      {trashed ? (
        <>
          <IconButton
            icon="restore"
            label={t("action.restore")}
            disabled={busy}
            onClick={() => void actions.restore(chosen)}
          />
          <IconButton
            icon="trash"
            label={t("action.delete")}
            disabled={busy}
            onClick={() => onOpened({ dialog: "delete", entries: chosen })}
          />
        </>
      ) : (
        <>
          {files.length > 0 && (
            <IconButton
              icon="download"
              label={t("action.download")}
              disabled={busy}
              onClick={() => void actions.download(files)}
            />
          )}
          <IconButton
            icon="move"
            label={t("action.move")}
            disabled={busy}
            onClick={() => onOpened({ dialog: "move", entries: chosen })}
          />
          <IconButton
            icon="trash"
            label={t("action.trash")}
            disabled={busy}
            onClick={() => void actions.trash(chosen)}
          />
        </>
      )}
    </div>
  );
}
