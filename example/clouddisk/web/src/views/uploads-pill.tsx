import { useI18n } from "../i18n/context.js";
import type { Translate } from "../i18n/translate.js";
import { isOver, overallOf } from "../upload/overall.js";
import type { UploadQueue } from "../upload/queue.js";
import type { QueueView } from "../upload/view.js";
import { Icon, type IconName } from "./icons.js";
import { IconButton } from "./parts.js";

/** All that is left of the panel while it need not be seen. */
export function Pill({ queue, view, onOpen }: { queue: UploadQueue; view: QueueView; onOpen: () => void }) {
  const { t } = useI18n();
  const { active, paused, failed, progress } = overallOf(view.uploads);
  const going = active + paused > 0;
  return (
    <>
      <span data-toggle>
        <button
          type="button"
          class={failed > 0 ? "pill-open failed" : "pill-open"}
          aria-expanded={false}
          onClick={onOpen}
        >
          <Icon name={iconOf(view)} />
          <span>{[t("uploads.title"), ...factsOf(view, t)].join(" · ")}</span>
        </button>
      </span>
      {!going && view.uploads.some(isOver) && (
        <IconButton icon="close" label={t("uploads.clear")} onClick={() => queue.clearFinished()} />
      )}
      {going && <progress class="bar thin" value={progress} max={1} aria-label={t("uploads.progressAll")} />}
    </>
  );
}

function iconOf({ uploads, unfinished }: QueueView): IconName {
  const { active, paused, failed } = overallOf(uploads);
  if (failed > 0) return "alert";
  if (active > 0) return "upload";
  return paused + unfinished.length > 0 ? "pause" : "check";
}

function factsOf({ uploads, unfinished }: QueueView, t: Translate): string[] {
  const { total, done, active, paused, failed, progress } = overallOf(uploads);
  const facts: string[] = [];
  if (total > 0) facts.push(t("uploads.summary", { done, total }));
  if (failed > 0) facts.push(t("uploads.failedCount", { count: failed }));
  if (active > 0) facts.push(t("uploads.percent", { percent: Math.floor(100 * progress) }));
  else if (paused > 0) facts.push(t("uploads.paused"));
  if (unfinished.length > 0) facts.push(t("uploads.unfinishedCount", { count: unfinished.length }));
  return facts;
}
