import type { User } from "../api.js";
import { formatBytes, fraction } from "../format.js";
import { useI18n } from "../i18n/context.js";
import { formatRoute, type Route } from "../route.js";
import { Icon } from "./icons.js";

const links = [
  { view: "files", icon: "folder", key: "nav.files", route: { view: "files", folderId: 0 } },
  { view: "trash", icon: "trash", key: "nav.trash", route: { view: "trash" } },
  { view: "users", icon: "users", key: "nav.users", route: { view: "users" } },
  { view: "services", icon: "services", key: "nav.services", route: { view: "services" } },
] as const;
const operators: readonly string[] = ["users", "services"];

/** The views, and how much room is left. */
export function Nav({ route, user }: { route: Route; user: User }) {
  const { t } = useI18n();
  const current = route.view === "search" ? "files" : route.view;
  return (
    <nav class="nav" aria-label={t("nav.label")}>
      <div class="nav-links">
        {links
          .filter(({ view }) => user.operator || !operators.includes(view))
          .map(({ view, icon, key, route: to }) => (
            <a key={view} href={formatRoute(to)} aria-current={current === view ? "page" : undefined}>
              <Icon name={icon} />
              {t(key)}
            </a>
          ))}
      </div>
      <Quota user={user} />
    </nav>
  );
}

function Quota({ user }: { user: User }) {
  const { t } = useI18n();
  const { usedBytes, quotaBytes } = user;
  const part = fraction(usedBytes, quotaBytes);
  const text = t("quota.used", { used: formatBytes(usedBytes), quota: formatBytes(quotaBytes) });
  return (
    <div class="quota">
      <div class="quota-label">{t("quota.label")}</div>
      <progress
        class={part > 0.9 ? "bar low" : "bar"}
        value={part}
        max={1}
        aria-label={t("quota.label")}
        aria-valuetext={text}
      />
      <div class="quota-text">{text}</div>
    </div>
  );
}
