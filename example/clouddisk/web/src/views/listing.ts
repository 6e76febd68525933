import { useCallback, useEffect, useState } from "preact/hooks";
import type { Api, Entry, EntryPage, ListOptions } from "../api.js";
import type { Route } from "../route.js";
import type { Sorting } from "./file-table.js";

export interface Listing {
  page: EntryPage | undefined;
  error: unknown;
  busy: boolean;
  more: () => void;
}

const pageEntries = 100;

function optionsOf(route: Route, sorting: Sorting): ListOptions {
  const order = { sort: sorting.column, descending: sorting.descending, limit: pageEntries };
  switch (route.view) {
    case "trash":
      return { trashed: true, ...order };
    case "search":
      return { query: route.query, ...order };
    default:
      return { parentId: route.view === "files" ? route.folderId : 0, ...order };
  }
}

/** What the view shows; asked for again whenever `version` changes, as far as it was shown. */
export function useListing(api: Api, route: Route, sorting: Sorting, version: number): Listing {
  const [page, setPage] = useState<EntryPage>();
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(true);
  const [wanted, setWanted] = useState(pageEntries);
  const { column, descending } = sorting;
  // `version` says that the answer is another one now.
  useEffect(() => {
    const controller = new AbortController();
    const { signal } = controller;
    setBusy(true);
    load(api, optionsOf(route, { column, descending }), wanted, signal).then(
      (loaded) => {
        if (signal.aborted) return;
        setPage(loaded);
        setError(undefined);
        setBusy(false);
      },
      (failure: unknown) => {
        if (signal.aborted) return;
        setError(failure);
        setBusy(false);
      },
    );
    return () => controller.abort();
  }, [api, route, column, descending, version, wanted]);
  const shown = page?.entries.length ?? 0;
  const more = useCallback(() => setWanted(shown + pageEntries), [shown]);
  return { page, error, busy, more };
}

async function load(api: Api, options: ListOptions, wanted: number, signal: AbortSignal): Promise<EntryPage> {
  const first = await api.list(options, signal);
  const entries: Entry[] = [...first.entries];
  let { nextCursor } = first;
  while (nextCursor !== "" && entries.length < wanted) {
    const next = await api.list({ ...options, cursor: nextCursor }, signal);
    entries.push(...next.entries);
    nextCursor = next.nextCursor;
  }
  return { ...first, entries, nextCursor };
}
