import { useCallback, useEffect, useState } from "preact/hooks";
import type { Api, User } from "../api.js";
import { describe } from "../describe.js";
import { useI18n } from "../i18n/context.js";
import { Live } from "../live.js";
import type { Route } from "../route.js";
import type { Tabs } from "../tabs.js";
import { UploadQueue } from "../upload/queue.js";
import { RememberedUploads } from "../upload/remembered.js";
import { ConfirmDialog } from "./dialogs.js";
import { Files } from "./files.js";
import { Logo } from "./icons.js";
import { type Look, LookButtons } from "./look.js";
import { Nav } from "./nav.js";
import { IconButton } from "./parts.js";
import { Search } from "./search.js";
import { Services } from "./services.js";
import { useTitle } from "./title.js";
import { useToast } from "./toasts.js";
import { Uploads } from "./uploads.js";
import { placeOf, useRoute } from "./use-route.js";
import { Users } from "./users.js";

/** The queue of this user, for as long as he is signed in. */
function useQueue(api: Api, tabs: Tabs, user: string, onArrived: () => void): UploadQueue {
  const [queue] = useState(
    () => new UploadQueue({ api, tabs, user, remembered: new RememberedUploads(localStorage, user) }),
  );
  queue.onArrived = onArrived;
  useEffect(() => {
    void queue.loadUnfinished();
    const onLeave = (event: BeforeUnloadEvent): void => {
      if (queue.active) event.preventDefault();
    };
    const onGone = (): void => queue.leave();
    addEventListener("beforeunload", onLeave);
    addEventListener("pagehide", onGone);
    return () => {
      removeEventListener("beforeunload", onLeave);
      removeEventListener("pagehide", onGone);
      queue.close();
    };
  }, [queue]);
  return queue;
}

/** Whether the disk does not answer; what is shown is asked for again once it does. */
function useLost(api: Api, onBack: () => void): boolean {
  const { connection } = api;
  const [lost, setLost] = useState(connection.lost);
  useEffect(
    () =>
      connection.subscribe(() => {
        setLost(connection.lost);
        if (!connection.lost) onBack();
      }),
    [connection, onBack],
  );
  return lost;
}

/** What other devices change, and how far their uploads are; without a feed the page is as it was when it was loaded. */
function useLive(queue: UploadQueue, onChange: () => void, onSignedOut: () => void): void {
  const [live] = useState(() => new Live());
  live.onChange = onChange;
  live.onUpload = (upload) => queue.moved(upload);
  live.onBehind = () => void queue.loadUnfinished();
  live.onSignedOut = onSignedOut;
  useEffect(() => {
    live.start();
    return () => live.close();
  }, [live]);
}

/** What stands around every view of who is signed in. */
export function Shell(props: {
  api: Api;
  tabs: Tabs;
  user: User;
  look: Look;
  onChanged: () => Promise<unknown>;
  onSignedOut: () => void;
}) {
  const { api, tabs, user, look, onChanged, onSignedOut } = props;
  const { t } = useI18n();
  const say = useToast();
  const [route, go] = useRoute();
  const [version, setVersion] = useState(0);
  const [leaving, setLeaving] = useState(false);
  const { username } = user;
  const refresh = useCallback(() => setVersion((before) => before + 1), []);
  const seen = useCallback(() => {
    refresh();
    void onChanged();
  }, [refresh, onChanged]);
  const changed = useCallback(() => {
    refresh();
    void onChanged();
    tabs.post({ type: "changed", user: username });
  }, [refresh, onChanged, tabs, username]);
  const queue = useQueue(api, tabs, username, changed);
  const lost = useLost(api, refresh);
  useEffect(
    () =>
      tabs.subscribe((message) => {
        if (message.type === "changed" && message.user === username) seen();
      }),
    [tabs, username, seen],
  );
  useLive(queue, seen, () => api.onSignedOut());
  useTitle(route.view === "search" ? t("files.results", { query: route.query }) : t(`nav.${route.view}`));
  const signOut = async (): Promise<void> => {
    try {
      await api.signout();
      onSignedOut();
    } catch (error) {
      say(describe(error, t), { error: true });
    }
  };
  return (
    <div class="shell">
      <button type="button" class="skip" onClick={() => document.getElementById("content")?.focus()}>
        {t("app.skip")}
      </button>
      <TopBar
        {...{ route, go, look, user }}
        onSignOut={() => (queue.active ? setLeaving(true) : void signOut())}
      />
      <Nav route={route} user={user} />
      <main class="content" id="content" tabIndex={-1}>
        <div role="status">{lost && <p class="notice">{t("app.lost")}</p>}</div>
        {route.view === "services" ? (
          <Services api={api} />
        ) : route.view === "users" ? (
          <Users api={api} />
        ) : (
          <Files key={placeOf(route)} {...{ api, route, go, queue, version }} onChanged={changed} />
        )}
      </main>
      <Uploads queue={queue} />
      {leaving && (
        <ConfirmDialog
          title={t("nav.signout")}
          text={t("signout.active")}
          action={t("nav.signout")}
          onConfirm={() => void signOut()}
          onClose={() => setLeaving(false)}
        />
      )}
    </div>
  );
}

function TopBar(props: {
  route: Route;
  go: (route: Route) => void;
  look: Look;
  user: User;
  onSignOut: () => void;
}) {
  const { route, go, look, user, onSignOut } = props;
  const { t } = useI18n();
  return (
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
        <IconButton icon="signout" label={t("nav.signout")} onClick={onSignOut} />
      </div>
    </header>
  );
}
