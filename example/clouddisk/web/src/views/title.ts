import { useEffect } from "preact/hooks";
import { useI18n } from "../i18n/context.js";

/** What the tab is called. */
export function useTitle(view: string): void {
  const { t } = useI18n();
  useEffect(() => {
    document.title = `${view} · ${t("app.name")}`;
  }, [view, t]);
}
