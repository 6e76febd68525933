import { useEffect, useState } from "preact/hooks";
import { describe } from "../describe.js";
import { useI18n } from "../i18n/context.js";
import { droppedOf } from "../upload/pick.js";
import type { UploadQueue } from "../upload/queue.js";
import { tellFailed, useToast } from "./toasts.js";

function filesOf({ dataTransfer }: DragEvent): DataTransfer | undefined {
  return dataTransfer?.types.includes("Files") ? dataTransfer : undefined;
}

/** The browser would leave the page for a file that nobody takes. */
export function keepPageOnDrop(): void {
  const refuse = (event: DragEvent): void => {
    const files = filesOf(event);
    if (files === undefined || event.defaultPrevented) return;
    event.preventDefault();
    files.dropEffect = "none";
  };
  // After whoever listens on the document.
  addEventListener("dragover", refuse);
  addEventListener("drop", refuse);
}

/** Files dropped anywhere go to this folder; true while some are held above the page. Undefined: they go nowhere. */
export function useDrop(queue: UploadQueue, folderId: number | undefined): boolean {
  const { t } = useI18n();
  const say = useToast();
  const [over, setOver] = useState(false);
  useEffect(() => {
    if (folderId === undefined) return;
    // A child that is entered comes before the parent that is left.
    let depth = 0;
    const end = (): void => {
      depth = 0;
      setOver(false);
    };
    const onEnter = (event: DragEvent): void => {
      if (filesOf(event) === undefined) return;
      depth++;
      setOver(true);
    };
    const onLeave = (event: DragEvent): void => {
      if (filesOf(event) === undefined) return;
      depth--;
      if (depth <= 0) end();
    };
    const onOver = (event: DragEvent): void => {
      const files = filesOf(event);
      if (files === undefined) return;
      event.preventDefault();
      files.dropEffect = "copy";
    };
    const onDrop = (event: DragEvent): void => {
      const files = filesOf(event);
      if (files === undefined) return;
      event.preventDefault();
      end();
      droppedOf(files)
        .then(async ({ picked, folders, failed }) => {
          const notMade = await queue.drop(picked, folders, folderId);
          tellFailed([...failed, ...notMade], say, t);
        })
        .catch((error: unknown) => say(describe(error, t), { error: true }));
    };
    const listeners = { dragenter: onEnter, dragleave: onLeave, dragover: onOver, drop: onDrop } as const;
    for (const [name, listener] of Object.entries(listeners)) {
      document.addEventListener(name, listener as EventListener);
    }
    return () => {
      setOver(false);
      for (const [name, listener] of Object.entries(listeners)) {
        document.removeEventListener(name, listener as EventListener);
      }
    };
  }, [queue, folderId, say, t]);
  return over;
}
