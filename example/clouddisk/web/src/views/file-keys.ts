import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import type { Entry } from "../api.js";
import type { Selecting } from "./selection.js";

const controls = ["input", ".file-name", ".cell-actions button"] as const;

/** The same control of another row; where that is switched off, the row's first. */
export function focusRow(row: Element | null | undefined, control: string): void {
  const wanted = row?.querySelector<HTMLElement>(`${control}:enabled`) ?? row?.querySelector("input");
  row?.scrollIntoView({ block: "nearest" });
  wanted?.focus({ preventScroll: true });
}

/** Which entry the row is of that this is in; -1: of none. */
export function rowAt(target: EventTarget | null): number {
  const row = target instanceof Element ? target.closest<HTMLElement>("tbody tr[data-at]") : null;
  return row === null ? -1 : Number(row.dataset.at);
}

/** Rows a page up or down goes. */
const pageRows = 10;

/**
 * As in file managers: arrows, Page Up and Down, Home and End go from row to row, with Shift they choose on the way; Ctrl+A
 * chooses all, Escape none, Delete removes and F2 renames.
 */
export function onTableKey(
  event: KeyboardEvent,
  does: {
    entries: readonly Entry[];
    selecting: Selecting;
    onRename: (entry: Entry) => void;
    onRemove: (entries: readonly Entry[]) => void;
    /** Draws the row, and gives the focus to its control. */
    goTo: (at: number, control: string) => void;
  },
): void {
  const { entries, selecting, onRename, onRemove, goTo } = does;
  const { target } = event;
  if (event.defaultPrevented || !(target instanceof Element) || target.closest(".menu") !== null) return;
  const at = rowAt(target);
  const entry = entries[at];
  const go = (to: number): void => {
    const next = Math.max(0, Math.min(entries.length - 1, to));
    const reached = entries[next];
    if (reached === undefined || entry === undefined) return;
    if (event.shiftKey) {
      if (!selecting.selected.has(entry.id)) selecting.choose(entry.id, true, false);
      selecting.choose(reached.id, true, true);
    }
    goTo(next, controls.find((one) => target.matches(one)) ?? "input");
  };
  const chosen = (): Entry[] => entries.filter(({ id }) => selecting.selected.has(id));
  const remove = (one: Entry): void => {
    const some = chosen();
    onRemove(some.length > 0 ? some : [one]);
  };
  const keys: Record<string, () => void> = {
    ArrowDown: () => go(at + 1),
    ArrowUp: () => go(at - 1),
    PageDown: () => go(at + pageRows),
    PageUp: () => go(at - pageRows),
    Home: () => go(0),
    End: () => go(entries.length - 1),
    F2: () => entry !== undefined && onRename(entry),
    Delete: () => entry !== undefined && remove(entry),
  };
  let run = keys[event.key];
  if (event.key === "a" && (event.ctrlKey || event.metaKey)) run = () => selecting.chooseAll(true);
  if (event.key === "Escape" && selecting.selected.size > 0) run = () => selecting.chooseAll(false);
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
      const row = rowAt(target);
      at.current = row < 0 ? (at.current ?? 0) : row;
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
    const rows = [...(section.current?.querySelectorAll<HTMLElement>("tbody tr[data-at]") ?? [])];
    const row = rows.find((one) => Number(one.dataset.at) === at.current) ?? rows.at(-1);
    if (row === undefined) document.getElementById("content")?.focus({ preventScroll: true });
    else focusRow(row, ".file-name");
  }, [shown]);
}
