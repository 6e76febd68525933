import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Api, Entry, EntryPage, ListOptions } from "../api.js";
import type { Route } from "../route.js";
import type { Sorting } from "./file-table.js";
import { Lister } from "./lister.js";

export interface Listing {
  page: EntryPage | undefined;
  error: unknown;
  busy: boolean;
  more: () => void;
  /** Resolves when the whole list is there, with what is in it. */
  all: () => Promise<readonly Entry[]>;
  /** These are known to be gone. */
  drop: (ids: ReadonlySet<number>) => void;
}

function optionsOf(route: Route, sorting: Sorting): ListOptions {
  const order = { sort: sorting.column, descending: sorting.descending };
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
  const { column, descending } = sorting;
  const lister = useMemo(() => {
    const options = optionsOf(route, { column, descending });
    return new Lister<Entry, EntryPage>(({ signal, ...page }) => api.list({ ...options, ...page }, signal));
  }, [api, route, column, descending]);
  const [, redraw] = useState(0);
  // In another order it is shown as it was until it has come.
  const shown = useRef<EntryPage>();
  shown.current = lister.page ?? shown.current;
  useEffect(() => {
    lister.onChange = () => redraw((before) => before + 1);
    lister.reload();
    return () => lister.close();
  }, [lister]);
  const seen = useRef(version);
  useEffect(() => {
    if (seen.current === version) return;
    seen.current = version;
    lister.reload();
  }, [lister, version]);
  const does = useMemo(
    () => ({
      more: () => lister.more(),
      all: () => lister.all(),
      drop: (ids: ReadonlySet<number>) => lister.drop(ids),
    }),
    [lister],
  );
  return { page: shown.current, error: lister.error, busy: lister.busy, ...does };
}
