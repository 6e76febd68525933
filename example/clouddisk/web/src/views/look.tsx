import { useI18n } from "../i18n/context.js";
import type { Theme } from "../preferences.js";
import { IconButton } from "./parts.js";

export interface Look {
  theme: Theme;
  onTheme: () => void;
  onLanguage: () => void;
}

const themeIcons = { auto: "auto", light: "sun", dark: "moon" } as const;

/** The switches of language and colours. */
export function LookButtons({ look }: { look: Look }) {
  const { t } = useI18n();
  return (
    <>
      <IconButton icon="language" label={t("nav.language")} onClick={look.onLanguage} />
      <IconButton icon={themeIcons[look.theme]} label={t(`nav.theme.${look.theme}`)} onClick={look.onTheme} />
    </>
  );
}
