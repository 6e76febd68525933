import { useEffect, useRef, useState } from "preact/hooks";
import { requestBytes } from "../api-http.js";
import { decodeText } from "../decode.js";
import { useI18n } from "../i18n/context.js";
import { NoPreview } from "../no-preview.js";
import { wait } from "../upload/wait.js";
import { type Drawing, drawingMaxBytes, inspectDrawing } from "./drawing.js";

const drawnWithinMs = 6000;
const probePausesMs = [50, 200, 800];

interface Inspected extends Drawing {
  source: string;
}

/** The disk gives an SVG as text, so that it can do nothing when opened; as an image it runs no scripts and loads nothing. */
async function load(url: string, signal: AbortSignal): Promise<Inspected> {
  const bytes = new Uint8Array(await requestBytes(url, {}, signal));
  if (bytes.length > drawingMaxBytes) throw new NoPreview("large");
  const drawing = inspectDrawing(decodeText(bytes, false));
  let binary = "";
  for (let at = 0; at < bytes.length; at += 8192) {
    binary += String.fromCharCode(...bytes.subarray(at, at + 8192));
  }
  return { ...drawing, source: `data:image/svg+xml;base64,${btoa(binary)}` };
}

/**
 * An SVG in a frame of nobody's origin, which browsers draw in a process of its own: whatever it takes to draw, the page goes on,
 * and gives up after a while.
 */
export function SandboxedDrawing(props: { url: string; title: string; onError: (error: unknown) => void }) {
  const { url, title, onError } = props;
  const { t } = useI18n();
  const [drawing, setDrawing] = useState<Inspected>();
  useEffect(() => {
    const controller = new AbortController();
    const { signal } = controller;
    load(url, signal).then(setDrawing, (failure: unknown) => {
      if (!signal.aborted) onError(failure);
    });
    return () => controller.abort();
  }, [url, onError]);
  if (drawing === undefined) return <p role="status">{t("app.loading")}</p>;
  return <Frame drawing={drawing} title={title} onError={onError} />;
}

function Frame(props: { drawing: Inspected; title: string; onError: (error: unknown) => void }) {
  const { drawing, title, onError } = props;
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    // As large as there is room for, and not larger than it is.
    const scale = Math.min(1, element.clientWidth / drawing.widthPx, (innerHeight * 0.66) / drawing.heightPx);
    const width = Math.max(1, Math.round(drawing.widthPx * scale));
    const height = Math.max(1, Math.round(drawing.heightPx * scale));
    const frame = sandbox(`<img src="${drawing.source}" width="${width}" height="${height}" alt="">`);
    frame.title = title;
    frame.width = String(width);
    frame.height = String(height);
    const controller = new AbortController();
    const { signal } = controller;
    const timer = setTimeout(() => onError(new NoPreview("slow")), drawnWithinMs);
    frame.onload = () => {
      answers(element, signal).then(
        () => {
          clearTimeout(timer);
          frame.dataset.drawn = "";
        },
        // Only that nobody waits any more.
        () => {},
      );
    };
    element.replaceChildren(frame);
    return () => {
      controller.abort();
      clearTimeout(timer);
      element.replaceChildren();
    };
  }, [drawing, title, onError]);
  return <div class="drawing" ref={place} />;
}

/** What is loaded need not be drawn yet: the process is asked a few times whether it still does anything else. */
async function answers(place: HTMLElement, signal: AbortSignal): Promise<void> {
  for (const pauseMs of probePausesMs) {
    await wait(pauseMs, signal);
    const probe = sandbox("");
    probe.hidden = true;
    await new Promise<void>((resolve) => {
      probe.onload = () => resolve();
      place.append(probe);
    });
    probe.remove();
  }
}

/** No script, no form, no origin; the page's own policy holds in it besides. */
function sandbox(body: string): HTMLIFrameElement {
  const frame = document.createElement("iframe");
  frame.setAttribute("sandbox", "");
  frame.setAttribute("scrolling", "no");
  frame.setAttribute("marginwidth", "0");
  frame.setAttribute("marginheight", "0");
  frame.srcdoc = `<!doctype html>${body}`;
  return frame;
}
