import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import type { Api, User } from "../api.js";
import { describe } from "../describe.js";
import { formatBytes, fraction } from "../format.js";
import { useI18n } from "../i18n/context.js";
import { formatRoute, parseRoute, type Route } from "../route.js";
import { UploadQueue } from "../upload/queue.js";
import { RememberedUploads } from "../upload/remembered.js";
import { Files } from "./files.js";
import { Icon, Logo } from "./icons.js";
import { type Look, LookButtons } from "./look.js";
import { IconButton } from "./parts.js";
import { Services } from "./services.js";
import { useToast } from "./toasts.js";
import { Uploads } from "./uploads.js";

const links = [
  { view: "files", icon: "folder", key: "nav.files", route: { view: "files", folderId: 0 } },
  { view: "trash", icon: "trash", key: "nav.trash", route: { view: "trash" } },
  { view: "services", icon: "services", key: "nav.services", route: { view: "services" } },
] as const;

function useRoute(): [Route, (route: Route) => void] {
  const [route, setRoute] = useState(() => parseRoute(location.hash));
  useEffect(() => {
    const onChange = (): void => setRoute(parseRoute(location.hash));
    addEventListener("hashchange", onChange);
    return () => removeEventListener("hashchange", onChange);
  }, []);
  const go = useCallback((to: Route) => {
    // Each letter of a search is no step to go back by.
    if (to.view === "search" && parseRoute(location.hash).view === "search") {
      history.replaceState(null, "", formatRoute(to));
      setRoute(to);
    } else location.hash = formatRoute(to);
  }, []);
  const place = placeOf(route);
  const before = useRef(place);
  useEffect(() => {
    if (before.current === place) return;
    before.current = place;
    // What had the focus is gone with the view it was in.
    if (document.activeElement === document.body) document.getElementById("content")?.focus();
  }, [place]);
  return [route, go];
}

/** The same while a search changes: then the view stays. */
function placeOf(route: Route): string {
  return route.view === "search" ? "search" : formatRoute(route);
}

/** The queue of this user, for as long as he is signed in. */
function useQueue(api: Api, username: string, onArrived: () => void): UploadQueue {
  const [queue] = useState(() => new UploadQueue(api, new RememberedUploads(localStorage, username)));
  queue.onArrived = onArrived;
  useEffect(() => {
    void queue.loadUnfinished();
    const onLeave = (event: BeforeUnloadEvent): void => {
      if (queue.active) event.preventDefault();
    };
    addEventListener("beforeunload", onLeave);
    return () => {
      removeEventListener("beforeunload", onLeave);
      queue.close();
    };
  }, [queue]);
  return queue;
}

/** What stands around every view of who is signed in. */
export function Shell(props: {
  api: Api;
  user: User;
  look: Look;
  onChanged: () => Promise<void>;
  onSignedOut: () => void;
}) {
  const { api, user, look, onChanged, onSignedOut } = props;
  const { t } = useI18n();
  const say = useToast();
  const [route, go] = useRoute();
  const [version, setVersion] = useState(0);
  const changed = useCallback(() => {
    setVersion((before) => before + 1);
    void onChanged();
  }, [onChanged]);
  const queue = useQueue(api, user.username, changed);

  const signOut = async (): Promise<void> => {
    try {
      await api.signout();
      onSignedOut();
    } catch (error) {
      say(describe(error, t), { error: true });
    }
  };
  const current = route.view === "search" ? "files" : route.view;
  return (
    <div class="shell">
      <button type="button" class="skip" onClick={() => document.getElementById("content")?.focus()}>
        {t("app.skip")}
      </button>
      <header class="topbar">
        <a class="brand" href="#/files">
          <Logo />
          <span>{t("app.name")}</span>
        </a>
        <Search route={route} go={go} />
        <div class="topbar-end">
          <LookButtons look={look} />
          <span class="user" title={user.username}>
            <span class="avatar" aria-hidden="true">
              {[...user.username][0]?.toUpperCase()}
            </span>
            <span class="user-name">{user.username}</span>
          </span>
          <IconButton icon="signout" label={t("nav.signout")} onClick={() => void signOut()} />
        </div>
      </header>
      <nav class="nav" aria-label={t("nav.label")}>
        <div class="nav-links">
          {links.map(({ view, icon, key, route: to }) => (
            <a key={view} href={formatRoute(to)} aria-current={current === view ? "page" : undefined}>
              <Icon name={icon} />
              {t(key)}
            </a>
          ))}
        </div>
        <Quota user={user} />
      </nav>
      <main class="content" id="content" tabIndex={-1}>
        {route.view === "services" ? (
          <Services api={api} />
        ) : (
          <Files
            key={placeOf(route)}
            api={api}
            route={route}
            go={go}
            queue={queue}
            version={version}
            onChanged={changed}
          />
        )}
      </main>
      <Uploads queue={queue} />
    </div>
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

/** Searches while one types, a moment after the last key. */
function Search({ route, go }: { route: Route; go: (route: Route) => void }) {
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
