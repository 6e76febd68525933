import { useRef } from "preact/hooks";
import { describe } from "../describe.js";
import { formatBytes, formatDuration } from "../format.js";
import { useI18n } from "../i18n/context.js";
import type { UploadQueue } from "../upload/queue.js";
import { timeLeftMs } from "../upload/speed.js";
import { activePhases, progressOf } from "../upload/state.js";
import type { Unfinished, UploadView } from "../upload/view.js";
import { Icon } from "./icons.js";
import { IconButton } from "./parts.js";
import { useToast } from "./toasts.js";

export function UploadRow({ upload, queue }: { upload: UploadView; queue: UploadQueue }) {
  const { t, language } = useI18n();
  const { id, name, state, bytesPerSecond } = upload;
  const { phase, sizeBytes, sentBytes } = state;
  const active = activePhases.includes(phase);
  const leftMs = phase === "sending" ? timeLeftMs(sizeBytes - sentBytes, bytesPerSecond) : undefined;
  const facts: string[] = [];
  if (phase === "failed") facts.push(t("uploads.failed", { why: describe(state.error, t) }));
  // That it is sending is seen by the numbers.
  else if (phase !== "sending")
    facts.push(t(phase === "done" && state.instant ? "uploads.instant" : `uploads.${phase}`));
  if (phase === "sending" || phase === "paused") {
    facts.push(t("uploads.sent", { sent: formatBytes(sentBytes), size: formatBytes(sizeBytes) }));
  }
  if (phase === "sending" && bytesPerSecond > 0)
    facts.push(t("uploads.speed", { speed: formatBytes(bytesPerSecond) }));
  if (leftMs !== undefined) facts.push(t("uploads.left", { time: formatDuration(leftMs, language) }));
  if (phase === "done") facts.push(formatBytes(sizeBytes));
  return (
    <li class={`upload ${phase}`} data-phase={phase}>
      <Icon name={phase === "done" ? (state.instant ? "bolt" : "check") : "file"} />
      <div class="upload-main">
        <div class="upload-name" title={name}>
          {name}
        </div>
        <Facts facts={facts} />
        {(active || phase === "paused") && (
          <progress
            class="bar thin"
            value={progressOf(state)}
            max={1}
            aria-label={t("uploads.progressOf", { name })}
          />
        )}
      </div>
      {active && (
        <IconButton icon="pause" label={t("uploads.pause", { name })} onClick={() => queue.pause(id)} />
      )}
      {phase === "paused" && (
        <IconButton icon="play" label={t("uploads.resume", { name })} onClick={() => queue.resume(id)} />
      )}
      {(phase === "failed" || phase === "cancelled") && (
        <IconButton icon="retry" label={t("uploads.retry", { name })} onClick={() => queue.retry(id)} />
      )}
      {active || phase === "paused" ? (
        <IconButton icon="close" label={t("uploads.cancel", { name })} onClick={() => queue.cancel(id)} />
      ) : (
        <IconButton icon="close" label={t("uploads.remove", { name })} onClick={() => queue.remove(id)} />
      )}
    </li>
  );
}

/** A line ends between two of them, not within one. */
function Facts({ facts }: { facts: readonly string[] }) {
  return (
    <div class="upload-facts">
      {facts.map((fact, at) => (
        <span key={fact} class="fact">
          {fact}
          {at < facts.length - 1 && " ·"}
        </span>
      ))}
    </div>
  );
}

export function UnfinishedRow({ unfinished, queue }: { unfinished: Unfinished; queue: UploadQueue }) {
  const { t } = useI18n();
  const say = useToast();
  const input = useRef<HTMLInputElement>(null);
  const { name, sizeBytes, sentBytes } = unfinished;
  const choose = (file: File | undefined): void => {
    if (file === undefined || queue.continueWith(unfinished, file)) return;
    say(t("uploads.wrongFile", { name }), { error: true });
  };
  return (
    <li class="upload unfinished" data-phase="unfinished">
      <Icon name="file" />
      <div class="upload-main">
        <div class="upload-name" title={name}>
          {name}
        </div>
        <Facts
          facts={[
            t("uploads.unfinished"),
            t("uploads.sent", { sent: formatBytes(sentBytes), size: formatBytes(sizeBytes) }),
          ]}
        />
        <div class="upload-facts">{t("uploads.unfinished.hint")}</div>
      </div>
      <input
        ref={input}
        type="file"
        hidden
        aria-label={t("uploads.choose", { name })}
        onChange={(event) => choose(event.currentTarget.files?.[0])}
      />
      <IconButton icon="play" label={t("uploads.choose", { name })} onClick={() => input.current?.click()} />
      <IconButton
        icon="close"
        label={t("uploads.discard", { name })}
        onClick={() => queue.discard(unfinished)}
      />
    </li>
  );
}
