import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { describe } from "../describe.js";
import { formatBytes, formatDuration } from "../format.js";
import { useI18n } from "../i18n/context.js";
import type { Translate } from "../i18n/translate.js";
import { isOver, type News, newsOf, nothingSaid, overallOf, rowsOf } from "../upload/overall.js";
import type { UploadQueue } from "../upload/queue.js";
import { timeLeftMs } from "../upload/speed.js";
import type { QueueView } from "../upload/view.js";
import { IconButton } from "./parts.js";
import { UnfinishedRow, UploadRow } from "./upload-rows.js";
import { Pill } from "./uploads-pill.js";

const rowsMax = 60;
const smallAfterMs = 5000;

function useQueueView(queue: UploadQueue): QueueView {
  const [view, setView] = useState(queue.view);
  useEffect(() => queue.subscribe(() => setView(queue.view)), [queue]);
  return view;
}

/** The panel of uploads, there while there are any, and what is said of them. */
export function Uploads({ queue }: { queue: UploadQueue }) {
  const view = useQueueView(queue);
  const empty = view.uploads.length + view.unfinished.length === 0;
  return (
    <>
      <UploadNews view={view} />
      {!empty && <Panel queue={queue} view={view} />}
    </>
  );
}

/** How high the panel is, for what must not lie beneath it. */
function useToldHeight(panel: RefObject<HTMLElement>): void {
  useLayoutEffect(() => {
    const { style } = document.documentElement;
    const observer = new ResizeObserver(() => {
      style.setProperty("--uploads-height", `${panel.current?.offsetHeight ?? 0}px`);
    });
    if (panel.current !== null) observer.observe(panel.current);
    return () => {
      observer.disconnect();
      style.removeProperty("--uploads-height");
    };
  }, [panel]);
}

/** How many there are of what is worth opening the panel for. */
function newsIn({ uploads, unfinished }: QueueView): readonly number[] {
  return [uploads.length, overallOf(uploads).failed, unfinished.length];
}

/**
 * True a while after there was something new: the panel lies upon the list, and need not for longer. Not while somebody points at
 * it, or is in it; who opens it again has it open until something is new.
 */
function useSmall(panel: RefObject<HTMLElement>, view: QueueView): [boolean, (small: boolean) => void] {
  const [small, setSmall] = useState(false);
  const news = newsIn(view);
  const before = useRef(news);
  const [times, setTimes] = useState(0);
  useEffect(() => {
    if (news.some((count, at) => count > (before.current[at] ?? 0))) setTimes((more) => more + 1);
    before.current = news;
  }, news);
  useEffect(() => {
    setSmall(false);
    const timer = setInterval(() => {
      if (panel.current?.matches(":hover, :focus-within")) return;
      clearInterval(timer);
      setSmall(true);
    }, smallAfterMs);
    return () => clearInterval(timer);
  }, [panel, times]);
  return [small, setSmall];
}

function Panel({ queue, view }: { queue: UploadQueue; view: QueueView }) {
  const panel = useRef<HTMLElement>(null);
  useToldHeight(panel);
  const [small, setSmall] = useSmall(panel, view);
  const { t } = useI18n();
  // What was pressed is gone; who has opened it is in it.
  const toggle = (): void => {
    setSmall(!small);
    requestAnimationFrame(() => panel.current?.querySelector<HTMLElement>("[data-toggle] button")?.focus());
  };
  return (
    <section class={small ? "uploads pill" : "uploads"} ref={panel} aria-label={t("uploads.title")}>
      {small ? (
        <Pill {...{ queue, view }} onOpen={toggle} />
      ) : (
        <Whole {...{ queue, view }} onCollapse={toggle} />
      )}
    </section>
  );
}

function Whole(props: { queue: UploadQueue; view: QueueView; onCollapse: () => void }) {
  const { queue, view, onCollapse } = props;
  const { t } = useI18n();
  const { uploads, unfinished } = view;
  const { total, active, paused, progress } = overallOf(uploads);
  const rows = rowsOf(uploads, rowsMax);
  const hidden = uploads.length - rows.length;
  return (
    <>
      <header class="uploads-head">
        <Summary view={view} />
        {active > 0 && (
          <IconButton icon="pause" label={t("uploads.pauseAll")} onClick={() => queue.pauseAll()} />
        )}
        {paused > 0 && (
          <IconButton icon="play" label={t("uploads.resumeAll")} onClick={() => queue.resumeAll()} />
        )}
        {active + paused === 0 && uploads.some(isOver) && (
          <IconButton icon="check" label={t("uploads.clear")} onClick={() => queue.clearFinished()} />
        )}
        <span data-toggle>
          <IconButton icon="down" label={t("uploads.collapse")} onClick={onCollapse} />
        </span>
      </header>
      {total > 0 && (
        <progress class="bar thin" value={progress} max={1} aria-label={t("uploads.progressAll")} />
      )}
      <ul class="uploads-list">
        {rows.map((one) => (
          <UploadRow key={one.id} upload={one} queue={queue} lost={view.lost} />
        ))}
        {hidden > 0 && <li class="uploads-more muted">{t("uploads.more", { count: hidden })}</li>}
        {unfinished.map((one) => (
          <UnfinishedRow key={one.key} unfinished={one} queue={queue} />
        ))}
      </ul>
    </>
  );
}

function Summary({ view: { uploads, bytesPerSecond } }: { view: QueueView }) {
  const { t, language } = useI18n();
  const { total, done, active, leftBytes } = overallOf(uploads);
  const leftMs = active > 0 ? timeLeftMs(leftBytes, bytesPerSecond) : undefined;
  const facts: string[] = [];
  if (total > 0) facts.push(t("uploads.summary", { done, total }));
  if (active > 0 && bytesPerSecond > 0)
    facts.push(t("uploads.speed", { speed: formatBytes(bytesPerSecond) }));
  if (leftMs !== undefined) facts.push(t("uploads.left", { time: formatDuration(leftMs, language) }));
  return (
    <div class="uploads-summary">
      <h2>{t("uploads.title")}</h2>
      <span class="muted">{facts.join(" · ")}</span>
    </div>
  );
}

/** There from the beginning: what comes into the page together with its text is not read out. */
function UploadNews({ view }: { view: QueueView }) {
  const { t } = useI18n();
  const before = useRef(nothingSaid);
  const [text, setText] = useState("");
  useEffect(() => {
    const { said, news } = newsOf(view.uploads, before.current);
    before.current = said;
    if (news !== undefined) setText(inWords(news, t));
  }, [view, t]);
  return (
    <div class="hidden" role="status" aria-live="polite" data-news>
      {text}
    </div>
  );
}

function inWords(news: News, t: Translate): string {
  switch (news.kind) {
    case "started":
      return t("uploads.news.started", { count: news.count });
    case "percent":
      return t("uploads.news.percent", { percent: news.percent });
    case "done":
      return t("uploads.news.done", { count: news.count });
    case "failed": {
      const why = t("uploads.failed", { why: describe(news.error, t) });
      const said = t("error.of", { name: news.name, why });
      return news.others === 0 ? said : `${said} ${t("uploads.more", { count: news.others })}`;
    }
  }
}
