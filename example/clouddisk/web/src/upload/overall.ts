import { activePhases, progressOf } from "./state.js";
import type { UploadView } from "./view.js";

/** All uploads as one; those that were cancelled do not count. */
export interface Overall {
  total: number;
  done: number;
  active: number;
  paused: number;
  failed: number;
  /** 0 to 1, by bytes. */
  progress: number;
  /** Of the active ones. */
  leftBytes: number;
}

export function overallOf(uploads: readonly UploadView[]): Overall {
  const states = uploads.map(({ state }) => state).filter(({ phase }) => phase !== "cancelled");
  const active = states.filter(({ phase }) => activePhases.includes(phase));
  const done = states.filter(({ phase }) => phase === "done").length;
  const total = states.length;
  const sizeBytes = states.reduce((sum, state) => sum + state.sizeBytes, 0);
  const doneBytes = states.reduce((sum, state) => sum + progressOf(state) * state.sizeBytes, 0);
  return {
    total,
    done,
    active: active.length,
    paused: states.filter(({ phase }) => phase === "paused").length,
    failed: states.filter(({ phase }) => phase === "failed").length,
    progress: sizeBytes > 0 ? doneBytes / sizeBytes : total > 0 ? done / total : 0,
    leftBytes: active.reduce((sum, state) => sum + state.sizeBytes - state.sentBytes, 0),
  };
}

/** What is worth saying to somebody who does not see the bars. */
export type News =
  | { kind: "started"; count: number }
  | { kind: "percent"; percent: number }
  | { kind: "failed"; name: string; error: unknown; others: number }
  | { kind: "done"; count: number };

/** What has been said. */
export interface Said {
  total: number;
  active: number;
  quarter: number;
  failed: ReadonlySet<number>;
}

export const nothingSaid: Said = { total: 0, active: 0, quarter: 0, failed: new Set() };

/** The beginning, each quarter, each failure and the end; not every file of a thousand. */
export function newsOf(uploads: readonly UploadView[], said: Said): { said: Said; news: News | undefined } {
  const { total, active, done, paused, progress } = overallOf(uploads);
  const failed = uploads.filter(({ state }) => state.phase === "failed");
  const quarter = Math.floor(progress * 4);
  const next = { total, active, quarter, failed: new Set(failed.map(({ id }) => id)) };
  const [first, ...others] = failed.filter(({ id }) => !said.failed.has(id));
  let news: News | undefined;
  if (first !== undefined) {
    news = { kind: "failed", name: first.name, error: first.state.error, others: others.length };
  } else if (total > said.total && active > 0) {
    news = { kind: "started", count: total - said.total };
  } else if (active === 0 && paused === 0 && done > 0 && (said.active > 0 || total > said.total)) {
    news = { kind: "done", count: done };
  } else if (active > 0 && quarter > said.quarter) {
    news = { kind: "percent", percent: quarter * 25 };
  }
  return { said: next, news };
}

/** Nothing more will come of it, and nothing need be done. */
export function isOver({ state }: UploadView): boolean {
  return state.phase === "done" || state.phase === "cancelled";
}

/** Of thousands only so many rows: those that are not done first, then the latest; in the order they came. */
export function rowsOf(uploads: readonly UploadView[], max: number): readonly UploadView[] {
  if (uploads.length <= max) return uploads;
  const rows = uploads.filter((one) => !isOver(one)).slice(0, max);
  const room = max - rows.length;
  if (room > 0) rows.push(...uploads.filter(isOver).slice(-room));
  return rows.sort((one, other) => one.id - other.id);
}
