import { useRef, useState } from "preact/hooks";
import { describe } from "../describe.js";
import { formatBytes, formatDuration, fraction } from "../format.js";
import { useI18n } from "../i18n/context.js";
import type { Language, Translate } from "../i18n/translate.js";
import { UnreadableFile } from "../upload/hasher.js";
import type { UploadQueue } from "../upload/queue.js";
import { timeLeftMs } from "../upload/speed.js";
import { activePhases, progressOf } from "../upload/state.js";
import type { Unfinished, UploadView } from "../upload/view.js";
import { ConfirmDialog } from "./dialogs.js";
import { Icon } from "./icons.js";
import { Name } from "./name.js";
import { IconButton } from "./parts.js";
import { useToast } from "./toasts.js";

/** What is told of an upload, in the order of its worth. */
function factsOf(upload: UploadView, lost: boolean, t: Translate, language: Language): string[] {
  const { state, bytesPerSecond } = upload;
  const { phase, sizeBytes, sentBytes, hashedBytes } = state;
  const facts: string[] = [];
  if (phase === "failed") facts.push(t("uploads.failed", { why: describe(state.error, t) }));
  else if (lost && activePhases.includes(phase) && phase !== "hashing") facts.push(t("uploads.lost"));
  // That it is sending is seen by the numbers.
  else if (phase !== "sending")
    facts.push(t(phase === "done" && state.instant ? "uploads.instant" : `uploads.${phase}`));
  if (state.changed) facts.push(t(phase === "done" ? "uploads.changed" : "uploads.changing"));
  const hashing = phase === "hashing" || (phase === "paused" && hashedBytes < sizeBytes);
  if (hashing) {
    facts.push(t("uploads.hashed", { percent: Math.floor(100 * fraction(hashedBytes, sizeBytes)) }));
  } else if (phase === "sending" || phase === "paused") {
    facts.push(t("uploads.sent", { sent: formatBytes(sentBytes), size: formatBytes(sizeBytes) }));
  }
  if (phase === "sending" && bytesPerSecond > 0)
    facts.push(t("uploads.speed", { speed: formatBytes(bytesPerSecond) }));
  const leftMs = phase === "sending" ? timeLeftMs(sizeBytes - sentBytes, bytesPerSecond) : undefined;
  if (leftMs !== undefined) facts.push(t("uploads.left", { time: formatDuration(leftMs, language) }));
  if (phase === "done") facts.push(formatBytes(sizeBytes));
  return facts;
}

export function UploadRow(props: { upload: UploadView; queue: UploadQueue; lost: boolean }) {
  const { upload, queue, lost } = props;
  const { t, language } = useI18n();
  const say = useToast();
  const { id, name, state } = upload;
  const chooseAgain = (file: File): void => {
    if (!queue.chooseAgain(id, file)) say(t("uploads.wrongFile", { name }), { error: true });
  };
  const { phase } = state;
  const unreadable = phase === "failed" && state.error instanceof UnreadableFile;
  const active = activePhases.includes(phase);
  const facts = factsOf(upload, lost, t, language);
  return (
    <li class={`upload ${phase}`} data-phase={phase}>
      <Icon name={phase === "done" ? (state.instant ? "bolt" : "check") : "file"} />
      <div class="upload-main">
        <div class="upload-name" title={name}>
          <Name name={name} />
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
      {unreadable && <ChooseFile label={t("uploads.chooseAgain", { name })} onFile={chooseAgain} />}
      {((phase === "failed" && !unreadable) || phase === "cancelled") && (
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

/** A button that opens the choice of one file. */
function ChooseFile({ label, onFile }: { label: string; onFile: (file: File) => void }) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <input
        ref={input}
        type="file"
        hidden
        aria-label={label}
        onChange={(event) => {
          const [file] = event.currentTarget.files ?? [];
          // The same file again is a change too.
          event.currentTarget.value = "";
          if (file !== undefined) onFile(file);
        }}
      />
      <IconButton icon="play" label={label} onClick={() => input.current?.click()} />
    </>
  );
}

export function UnfinishedRow({ unfinished, queue }: { unfinished: Unfinished; queue: UploadQueue }) {
  const { t } = useI18n();
  const say = useToast();
  const [asking, setAsking] = useState(false);
  const { name, sizeBytes, sentBytes, elsewhere } = unfinished;
  const choose = (file: File): void => {
    if (!queue.continueWith(unfinished, file)) say(t("uploads.wrongFile", { name }), { error: true });
  };
  const sent = t("uploads.sent", { sent: formatBytes(sentBytes), size: formatBytes(sizeBytes) });
  const saying = elsewhere === undefined ? "uploads.unfinished" : (`uploads.elsewhere.${elsewhere}` as const);
  return (
    <li class="upload unfinished" data-phase={elsewhere ? "elsewhere" : "unfinished"}>
      <Icon name="file" />
      <div class="upload-main">
        <div class="upload-name" title={name}>
          <Name name={name} />
        </div>
        <Facts facts={[t(saying), sent]} />
        {elsewhere ? (
          <progress
            class="bar thin"
            value={fraction(sentBytes, sizeBytes)}
            max={1}
            aria-label={t("uploads.progressOf", { name })}
          />
        ) : (
          <div class="upload-facts">{t("uploads.unfinished.hint")}</div>
        )}
      </div>
      {!elsewhere && (
        <>
          <ChooseFile label={t("uploads.choose", { name })} onFile={choose} />
          <IconButton icon="close" label={t("uploads.discard", { name })} onClick={() => setAsking(true)} />
        </>
      )}
      {asking && (
        <ConfirmDialog
          title={t("uploads.discard.title")}
          text={t("uploads.discard.text", { name })}
          action={t("uploads.discard.yes")}
          onConfirm={() => queue.discard(unfinished)}
          onClose={() => setAsking(false)}
        />
      )}
    </li>
  );
}
