import { useCallback, useEffect, useMemo, useState } from "preact/hooks";
import { Api, type User } from "../api.js";
import { describe } from "../describe.js";
import { I18nContext } from "../i18n/context.js";
import { translator } from "../i18n/translate.js";
import { applyLanguage, applyTheme, loadLanguage, loadTheme } from "../preferences.js";
import { Tabs } from "../tabs.js";
import { Logo } from "./icons.js";
import { Shell } from "./shell.js";
import { type SignedOut, SignIn } from "./sign-in.js";
import { ToastProvider } from "./toasts.js";

/** `why` nobody is signed in any more; undefined where somebody asked for it here, or nobody was. */
type Session = "loading" | { why: SignedOut | undefined } | { user: User } | { error: unknown };

/** Another try when the disk has answered, but not with what was asked for. */
const againMs = 5000;

export function App() {
  const [language, setLanguage] = useState(loadLanguage);
  const [theme, setTheme] = useState(loadTheme);
  const [session, setSession] = useState<Session>("loading");
  const [api] = useState(() => new Api());
  const [tabs] = useState(() => new Tabs());
  const i18n = useMemo(() => ({ language, t: translator(language) }), [language]);
  const { t } = i18n;

  const refresh = useCallback(async () => {
    try {
      const user = await api.me();
      setSession((before) => (user === undefined ? signedOut(before, "ended") : { user }));
      return user;
    } catch (error) {
      // Whoever is signed in stays so while the disk is away.
      setSession((before) => (typeof before === "object" && "user" in before ? before : { error }));
      return undefined;
    }
  }, [api]);

  useEffect(() => applyTheme(theme), [theme]);
  useEffect(() => applyLanguage(language), [language]);
  useEffect(() => {
    api.onSignedOut = () => setSession((before) => signedOut(before, "ended"));
    void refresh();
    return api.connection.subscribe(() => {
      if (!api.connection.lost) void refresh();
    });
  }, [api, refresh]);
  useEffect(
    () =>
      tabs.subscribe(({ type, user }) => {
        if (type === "signedIn") void refresh();
        if (type === "signedOut") setSession((before) => signedOut(before, "elsewhere", user));
      }),
    [tabs, refresh],
  );
  useEffect(() => {
    // What one tab is switched to, the others are too.
    const onStorage = (): void => {
      setLanguage(loadLanguage());
      setTheme(loadTheme());
    };
    addEventListener("storage", onStorage);
    return () => removeEventListener("storage", onStorage);
  }, []);
  const failed = typeof session === "object" && "error" in session;
  useEffect(() => {
    if (!failed) return;
    const timer = setInterval(() => api.connection.lost || void refresh(), againMs);
    return () => clearInterval(timer);
  }, [api, failed, refresh]);

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
  if (session !== "loading" && "why" in session) {
    const onSignedIn = async (): Promise<void> => {
      const user = await refresh();
      if (user !== undefined) tabs.post({ type: "signedIn", user: user.username });
    };
    content = <SignIn api={api} look={look} onSignedIn={onSignedIn} why={session.why} />;
  } else if (session !== "loading" && "user" in session) {
    const { username } = session.user;
    const onSignedOut = (): void => {
      setSession({ why: undefined });
      tabs.post({ type: "signedOut", user: username });
    };
    content = (
      <Shell
        key={username}
        api={api}
        tabs={tabs}
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

/** Whoever was not signed in is told nothing; the first reason stays, but that of another tab is the better one. */
function signedOut(before: Session, why: SignedOut, username?: string): Session {
  if (typeof before === "object" && "user" in before) {
    return username === undefined || username === before.user.username ? { why } : before;
  }
  if (typeof before === "object" && "why" in before) {
    return before.why === "ended" && why === "elsewhere" ? { why } : before;
  }
  return { why: undefined };
}
