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
import { Icon } from "./icons.js";
import { IconButton } from "./parts.js";
import { UnfinishedRow, UploadRow } from "./upload-rows.js";

const rowsMax = 60;
const quietMs = 5000;

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

/**
 * True a while after all of so many are done: then the panel is in the way. Not while somebody points at it, or is in it; who
 * opens it again has it open until there are others.
 */
function useQuiet(
  panel: RefObject<HTMLElement>,
  done: boolean,
  count: number,
): [boolean, (quiet: boolean) => void] {
  const [quiet, setQuiet] = useState(false);
  useEffect(() => {
    setQuiet(false);
    if (!done) return;
    const timer = setInterval(() => {
      if (panel.current?.matches(":hover, :focus-within")) return;
      clearInterval(timer);
      setQuiet(true);
    }, quietMs);
    return () => clearInterval(timer);
  }, [panel, done, count]);
  return [quiet, setQuiet];
}

function Panel({ queue, view }: { queue: UploadQueue; view: QueueView }) {
  const [open, setOpen] = useState(true);
  const panel = useRef<HTMLElement>(null);
  useToldHeight(panel);
  const { uploads, unfinished } = view;
  const done = unfinished.length === 0 && uploads.length > 0 && uploads.every(isOver);
  const [quiet, setQuiet] = useQuiet(panel, done, uploads.length);
  const { t } = useI18n();
  // Who has opened it again is in it.
  const onOpen = (): void => {
    setQuiet(false);
    setOpen(true);
    requestAnimationFrame(() => panel.current?.querySelector<HTMLElement>("[data-toggle] button")?.focus());
  };
  return (
    <section class={quiet ? "uploads pill" : "uploads"} ref={panel} aria-label={t("uploads.title")}>
      {quiet ? (
        <Pill {...{ queue, view }} onOpen={onOpen} />
      ) : (
        <Whole {...{ queue, view, open }} onToggle={() => setOpen(!open)} />
      )}
    </section>
  );
}

/** All that is left of the panel once everything is done. */
function Pill({ queue, view, onOpen }: { queue: UploadQueue; view: QueueView; onOpen: () => void }) {
  const { t } = useI18n();
  const { total, done } = overallOf(view.uploads);
  return (
    <>
      <button type="button" class="pill-open" aria-expanded={false} onClick={onOpen}>
        <Icon name="check" />
        {t("uploads.title")} · {t("uploads.summary", { done, total })}
      </button>
      <IconButton icon="close" label={t("uploads.clear")} onClick={() => queue.clearFinished()} />
    </>
  );
}

function Whole(props: { queue: UploadQueue; view: QueueView; open: boolean; onToggle: () => void }) {
  const { queue, view, open, onToggle } = props;
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
          <IconButton
            icon="down"
            class={open ? "" : "turned"}
            label={t(open ? "uploads.collapse" : "uploads.expand")}
            onClick={onToggle}
          />
        </span>
      </header>
      {total > 0 && (
        <progress class="bar thin" value={progress} max={1} aria-label={t("uploads.progressAll")} />
      )}
      {open && (
        <ul class="uploads-list">
          {rows.map((one) => (
            <UploadRow key={one.id} upload={one} queue={queue} lost={view.lost} />
          ))}
          {hidden > 0 && <li class="uploads-more muted">{t("uploads.more", { count: hidden })}</li>}
          {unfinished.map((one) => (
            <UnfinishedRow key={one.key} unfinished={one} queue={queue} />
          ))}
        </ul>
      )}
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
