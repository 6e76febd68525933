import type { PDFDocumentProxy } from "pdfjs-dist";
import { useEffect, useRef, useState } from "preact/hooks";
import { useI18n } from "../i18n/context.js";
import { NoPreview } from "../no-preview.js";
import { drawableScale } from "./canvas.js";
import { IconButton } from "./parts.js";

/** Loaded when the first PDF is looked at: it is larger than the rest of the page. */
async function openPdf(url: string): Promise<PDFDocumentProxy> {
  const [pdfjs, worker] = await Promise.all([
    import("pdfjs-dist"),
    import("pdfjs-dist/build/pdf.worker.min.mjs?url"),
  ]);
  pdfjs.GlobalWorkerOptions.workerSrc = worker.default;
  const data = `${import.meta.env.BASE_URL}assets/pdfjs-${pdfjs.version}/`;
  // Scripts in the file are not run: nothing here would, and the page's policy forbids it besides.
  return pdfjs.getDocument({
    url,
    enableXfa: false,
    cMapUrl: `${data}cmaps/`,
    standardFontDataUrl: `${data}standard_fonts/`,
    wasmUrl: `${data}wasm/`,
  }).promise;
}

function toNoPreview(error: unknown): NoPreview {
  const locked = error instanceof Error && error.name === "PasswordException";
  return new NoPreview(locked ? "locked" : "broken", error);
}

function usePdf(url: string, onError: (error: unknown) => void): PDFDocumentProxy | undefined {
  const [pdf, setPdf] = useState<PDFDocumentProxy>();
  useEffect(() => {
    let opened: PDFDocumentProxy | undefined;
    let closed = false;
    openPdf(url).then(
      (loaded) => {
        opened = loaded;
        if (closed) void loaded.destroy();
        else setPdf(loaded);
      },
      (error: unknown) => {
        if (!closed) onError(toNoPreview(error));
      },
    );
    return () => {
      closed = true;
      void opened?.destroy();
    };
  }, [url, onError]);
  return pdf;
}

export function PdfPages({ url, onError }: { url: string; onError: (error: unknown) => void }) {
  const { t } = useI18n();
  const canvas = useRef<HTMLCanvasElement>(null);
  const pdf = usePdf(url, onError);
  const [page, setPage] = useState(1);
  const [reduced, setReduced] = useState(false);
  useEffect(() => {
    if (pdf === undefined) return;
    let cancel = (): void => {};
    let closed = false;
    const draw = async (): Promise<void> => {
      const shown = await pdf.getPage(page);
      if (closed || canvas.current === null) return;
      const { width, height } = shown.getViewport({ scale: 1 });
      const wanted = Math.min(900, innerWidth - 48) / width;
      const scale = drawableScale({ width, height }, wanted * Math.min(2, devicePixelRatio));
      if (scale === undefined) throw new NoPreview("shape");
      const viewport = shown.getViewport({ scale });
      canvas.current.width = viewport.width;
      canvas.current.height = viewport.height;
      const task = shown.render({ canvas: canvas.current, viewport });
      cancel = () => task.cancel();
      await task.promise;
      if (closed || canvas.current === null) return;
      // White is drawn first: what is clear was beyond this browser.
      const corner = canvas.current.getContext("2d")?.getImageData(0, 0, 1, 1).data[3];
      if (!corner) throw new NoPreview("large");
      setReduced(scale < wanted * 0.99);
      canvas.current.setAttribute("data-drawn", String(page));
    };
    draw().catch((error: unknown) => {
      if (!closed) onError(error instanceof NoPreview ? error : toNoPreview(error));
    });
    return () => {
      closed = true;
      cancel();
    };
  }, [pdf, page, onError]);
  if (pdf === undefined) return <p role="status">{t("app.loading")}</p>;
  const total = pdf.numPages;
  return (
    <>
      <div class="pdf-bar">
        <IconButton
          icon="chevron"
          class="back"
          label={t("preview.previous")}
          disabled={page <= 1}
          onClick={() => setPage(page - 1)}
        />
        <span role="status">{t("preview.page", { page, total })}</span>
        <IconButton
          icon="chevron"
          label={t("preview.next")}
          disabled={page >= total}
          onClick={() => setPage(page + 1)}
        />
      </div>
      {reduced && <p class="muted">{t("preview.reduced")}</p>}
      <canvas ref={canvas} role="img" aria-label={t("preview.page", { page, total })} />
    </>
  );
}
