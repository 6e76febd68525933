import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import type { Entry } from "../api.js";
import type { Selecting } from "./selection.js";

const controls = ["input", ".file-name", ".cell-actions button"] as const;

/** The same control of another row; where that is switched off, the row's first. */
function focusRow(row: Element | null | undefined, control: string): void {
  const wanted = row?.querySelector<HTMLElement>(`${control}:enabled`) ?? row?.querySelector("input");
  wanted?.focus();
}

/**
 * As in file managers: arrows, Home and End go from row to row, with Shift they choose on the way; Ctrl+A chooses all,
 * Escape none, Delete removes and F2 renames.
 */
export function onTableKey(
  event: KeyboardEvent,
  does: {
    entries: readonly Entry[];
    selecting: Selecting;
    onRename: (entry: Entry) => void;
    onRemove: (entries: readonly Entry[]) => void;
  },
): void {
  const { entries, selecting, onRename, onRemove } = does;
  const { target } = event;
  if (event.defaultPrevented || !(target instanceof Element) || target.closest(".menu") !== null) return;
  const row = target.closest("tbody tr");
  const rows = [...(row?.parentElement?.children ?? [])];
  const at = row === null ? -1 : rows.indexOf(row);
  const entry = entries[at];
  const go = (to: number): void => {
    const next = Math.max(0, Math.min(rows.length - 1, to));
    const reached = entries[next];
    if (reached === undefined || entry === undefined) return;
    if (event.shiftKey) {
      if (!selecting.selected.has(entry.id)) selecting.choose(entry.id, true, false);
      selecting.choose(reached.id, true, true);
    }
    focusRow(rows[next], controls.find((one) => target.matches(one)) ?? "input");
  };
  const chosen = entries.filter(({ id }) => selecting.selected.has(id));
  const keys: Record<string, () => void> = {
    ArrowDown: () => go(at + 1),
    ArrowUp: () => go(at - 1),
    Home: () => go(0),
    End: () => go(rows.length - 1),
    F2: () => entry !== undefined && onRename(entry),
    Delete: () => entry !== undefined && onRemove(chosen.length > 0 ? chosen : [entry]),
  };
  let run = keys[event.key];
  if (event.key === "a" && (event.ctrlKey || event.metaKey)) run = () => selecting.chooseAll(true);
  if (event.key === "Escape" && chosen.length > 0) run = () => selecting.chooseAll(false);
  if (run === undefined) return;
  event.preventDefault();
  run();
}

/** A row that goes takes the focus with it: the one in its place gets it, or, when none is left, the content. */
export function useKeptFocus(section: RefObject<HTMLElement>, shown: unknown): void {
  const at = useRef<number>();
  useEffect(() => {
    const element = section.current;
    if (element === null) return;
    const onIn = ({ target }: FocusEvent): void => {
      const row = target instanceof Element ? target.closest("tbody tr") : null;
      const rows = [...(row?.parentElement?.children ?? [])];
      at.current = row === null ? (at.current ?? 0) : rows.indexOf(row);
    };
    const onOut = ({ relatedTarget }: FocusEvent): void => {
      if (relatedTarget instanceof Node && !element.contains(relatedTarget)) at.current = undefined;
    };
    // Whoever clicks beside everything wants the focus nowhere.
    const onPointer = (): void => {
      at.current = undefined;
    };
    element.addEventListener("focusin", onIn);
    element.addEventListener("focusout", onOut);
    document.addEventListener("pointerdown", onPointer);
    return () => {
      element.removeEventListener("focusin", onIn);
      element.removeEventListener("focusout", onOut);
      document.removeEventListener("pointerdown", onPointer);
    };
  }, [section]);
  // Whenever what is shown has changed.
  useLayoutEffect(() => {
    if (at.current === undefined || document.activeElement !== document.body) return;
    const rows = section.current?.querySelectorAll("tbody tr") ?? [];
    const row = rows[Math.min(at.current, rows.length - 1)];
    if (row === undefined) document.getElementById("content")?.focus({ preventScroll: true });
    else focusRow(row, ".file-name");
  }, [shown]);
}
