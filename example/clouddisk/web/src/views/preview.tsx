import { useEffect, useState } from "preact/hooks";
import type { Api, Entry } from "../api.js";
import { requestBytes } from "../api-http.js";
import { decodeText } from "../decode.js";
import { describe } from "../describe.js";
import { fileKind, formatBytes } from "../format.js";
import { useI18n } from "../i18n/context.js";
import { NoPreview } from "../no-preview.js";
import { Dialog } from "./dialog.js";
import { Icon } from "./icons.js";
import { PdfPages } from "./pdf.js";
import { SandboxedDrawing } from "./sandbox.js";

const textMaxBytes = 256 * 1024;

/** Shows a file without leaving the page. Nothing in it runs: images as images, everything else as text. */
export function Preview(props: {
  api: Api;
  entry: Entry;
  onDownload: () => Promise<void>;
  onClose: () => void;
}) {
  const { api, entry, onDownload, onClose } = props;
  const { t } = useI18n();
  const [url, setUrl] = useState<string>();
  const [error, setError] = useState<unknown>();
  const [refused, setRefused] = useState<unknown>();
  const kind = fileKind(entry.name);
  useEffect(() => {
    const controller = new AbortController();
    if (kind === "other" || kind === "archive") return;
    api.downloadUrl(entry, true, controller.signal).then(setUrl, (failure: unknown) => {
      if (!controller.signal.aborted) setError(failure);
    });
    return () => controller.abort();
  }, [api, entry, kind]);
  return (
    <Dialog title={entry.name} onClose={onClose} wide>
      <div class={`preview ${kind}`}>
        {error !== undefined && (
          <p class="notice" role="alert">
            {describe(error, t)}
          </p>
        )}
        {(kind === "other" || kind === "archive") && <p class="muted">{t("preview.none")}</p>}
        {url !== undefined && error === undefined && (
          <Content kind={kind} url={url} entry={entry} onError={setError} />
        )}
      </div>
      {refused !== undefined && (
        <p class="form-error" role="alert">
          {describe(refused, t)}
        </p>
      )}
      <footer>
        <span class="muted grow">{formatBytes(entry.sizeBytes)}</span>
        <button
          type="button"
          class="button primary"
          data-focus
          onClick={() => void onDownload().catch(setRefused)}
        >
          <Icon name="download" />
          {t("action.download")}
        </button>
      </footer>
    </Dialog>
  );
}

function Content(props: {
  kind: ReturnType<typeof fileKind>;
  url: string;
  entry: Entry;
  onError: (error: unknown) => void;
}) {
  const { kind, url, entry, onError } = props;
  const { t } = useI18n();
  const title = t("preview.title", { name: entry.name });
  const broken = (): void => onError(new NoPreview("broken"));
  switch (kind) {
    case "image":
      if (/\.svg$/i.test(entry.name)) return <SandboxedDrawing {...{ url, title, onError }} />;
      return <Picture {...{ url, title, onError }} />;
    case "video":
      // biome-ignore lint/a11y/useMediaCaption: it is the user's own file, which brings its captions along or has none.
      return <video src={url} controls aria-label={title} onError={broken} />;
    case "audio":
      // biome-ignore lint/a11y/useMediaCaption: as above.
      return <audio src={url} controls aria-label={title} onError={broken} />;
    case "pdf":
      return <PdfPages url={url} onError={onError} />;
    default:
      return <Text url={url} entry={entry} onError={onError} />;
  }
}

function Text({ url, entry, onError }: { url: string; entry: Entry; onError: (error: unknown) => void }) {
  const { t } = useI18n();
  const [text, setText] = useState<string>();
  const cut = entry.sizeBytes > textMaxBytes;
  useEffect(() => {
    const controller = new AbortController();
    const { signal } = controller;
    readBytes(url, cut ? textMaxBytes : undefined, signal).then(
      (bytes) => setText(decodeText(new Uint8Array(bytes), cut)),
      (failure: unknown) => {
        if (!signal.aborted) onError(failure);
      },
    );
    return () => controller.abort();
  }, [url, cut, onError]);
  if (text === undefined) return <p role="status">{t("app.loading")}</p>;
  return (
    <>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard. */}
      <pre tabIndex={0}>{text}</pre>
      {cut && <p class="muted">{t("preview.cut", { size: formatBytes(textMaxBytes) })}</p>}
    </>
  );
}

/** More pixels take a tab's memory, and phones show none of them. */
const imageMaxPixels = 120_000_000;
const imageWithinMs = 60_000;

/** Its size is known before it is drawn. */
function Picture(props: { url: string; title: string; onError: (error: unknown) => void }) {
  const { url, title, onError } = props;
  const { t } = useI18n();
  const [fits, setFits] = useState(false);
  useEffect(() => {
    if (fits) return;
    const timer = setTimeout(() => onError(new NoPreview("slow")), imageWithinMs);
    return () => clearTimeout(timer);
  }, [fits, onError]);
  return (
    <>
      {!fits && <p role="status">{t("app.loading")}</p>}
      <img
        src={url}
        alt={title}
        hidden={!fits}
        onLoad={({ currentTarget: { naturalWidth, naturalHeight } }) => {
          if (naturalWidth * naturalHeight > imageMaxPixels) onError(new NoPreview("large"));
          else setFits(true);
        }}
        onError={() => onError(new NoPreview("broken"))}
      />
    </>
  );
}

function readBytes(url: string, maxBytes: number | undefined, signal: AbortSignal): Promise<ArrayBuffer> {
  return requestBytes(url, maxBytes === undefined ? {} : { range: `bytes=0-${maxBytes - 1}` }, signal);
}
