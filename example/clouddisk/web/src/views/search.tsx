import { useEffect, useRef, useState } from "preact/hooks";
import { useI18n } from "../i18n/context.js";
import type { Route } from "../route.js";
import { Icon } from "./icons.js";
import { IconButton } from "./parts.js";

/** Searches while one types, a moment after the last key. */
export function Search({ route, go }: { route: Route; go: (route: Route) => void }) {
  const { t } = useI18n();
  const shown = route.view === "search" ? route.query : "";
  const [text, setText] = useState(shown);
  const cameFrom = useRef<Route>({ view: "files", folderId: 0 });
  if (route.view !== "search") cameFrom.current = route;
  useEffect(() => setText(shown), [shown]);
  useEffect(() => {
    const query = text.trim();
    if (query === shown) return;
    const timer = setTimeout(() => go(query === "" ? cameFrom.current : { view: "search", query }), 300);
    return () => clearTimeout(timer);
  }, [text, shown, go]);
  return (
    <search>
      <form
        class="search"
        onSubmit={(event) => {
          event.preventDefault();
          if (text.trim() !== "") go({ view: "search", query: text.trim() });
        }}
      >
        <Icon name="search" />
        <input
          type="search"
          value={text}
          maxLength={255}
          placeholder={t("files.search")}
          aria-label={t("files.search")}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        {text !== "" && (
          <IconButton icon="close" label={t("files.search.clear")} onClick={() => setText("")} />
        )}
      </form>
    </search>
  );
}
