import { useI18n } from "../i18n/context.js";
import type { Route } from "../route.js";
import { Icon } from "./icons.js";

const files = ["files.empty", "files.empty.hint", "upload"] as const;
const search = ["files.none", "files.none.hint", "search"] as const;
const trash = ["trash.nothing", "trash.nothing.hint", "trash"] as const;

export function Empty({ route }: { route: Route }) {
  const { t } = useI18n();
  const [title, hint, icon] = route.view === "trash" ? trash : route.view === "search" ? search : files;
  return (
    <div class="empty">
      <div class="empty-picture">
        <Icon name={icon} />
      </div>
      <h2>{t(title)}</h2>
      <p class="muted">{t(hint)}</p>
    </div>
  );
}

export function Skeleton({ label }: { label: string }) {
  return (
    <div class="skeleton" role="status" aria-label={label}>
      {["a", "b", "c", "d", "e"].map((key) => (
        <div key={key} />
      ))}
    </div>
  );
}
