import { useCallback, useEffect, useMemo, useState } from "preact/hooks";
import { Api, type User } from "../api.js";
import { describe } from "../describe.js";
import { I18nContext } from "../i18n/context.js";
import { translator } from "../i18n/translate.js";
import { applyLanguage, applyTheme, loadLanguage, loadTheme } from "../preferences.js";
import { Logo } from "./icons.js";
import { Shell } from "./shell.js";
import { SignIn } from "./sign-in.js";
import { ToastProvider } from "./toasts.js";

type Session = "loading" | "out" | { user: User } | { error: unknown };

export function App() {
  const [language, setLanguage] = useState(loadLanguage);
  const [theme, setTheme] = useState(loadTheme);
  const [session, setSession] = useState<Session>("loading");
  const [api] = useState(() => new Api());
  const i18n = useMemo(() => ({ language, t: translator(language) }), [language]);
  const { t } = i18n;

  const refresh = useCallback(async () => {
    try {
      const user = await api.me();
      setSession(user === undefined ? "out" : { user });
    } catch (error) {
      // Whoever is signed in stays so while the disk is away.
      setSession((before) => (typeof before === "object" && "user" in before ? before : { error }));
    }
  }, [api]);

  useEffect(() => applyTheme(theme), [theme]);
  useEffect(() => applyLanguage(language), [language]);
  useEffect(() => {
    api.onSignedOut = () => setSession("out");
    void refresh();
  }, [api, refresh]);

  const look = {
    theme,
    onTheme: () => setTheme(theme === "auto" ? "light" : theme === "light" ? "dark" : "auto"),
    onLanguage: () => setLanguage(language === "en" ? "zh" : "en"),
  } as const;

  let content = (
    <div class="splash" role="status">
      <Logo />
      <p>{t("app.loading")}</p>
    </div>
  );
  if (session === "out") {
    content = <SignIn api={api} look={look} onSignedIn={refresh} />;
  } else if (session !== "loading" && "user" in session) {
    const onSignedOut = (): void => setSession("out");
    content = (
      <Shell
        key={session.user.username}
        api={api}
        user={session.user}
        look={look}
        onChanged={refresh}
        onSignedOut={onSignedOut}
      />
    );
  } else if (session !== "loading") {
    content = (
      <div class="splash" role="alert">
        <Logo />
        <p>{describe(session.error, t)}</p>
        <button type="button" class="button" onClick={() => void refresh()}>
          {t("app.retry")}
        </button>
      </div>
    );
  }
  return (
    <I18nContext.Provider value={i18n}>
      <ToastProvider>{content}</ToastProvider>
    </I18nContext.Provider>
  );
}
