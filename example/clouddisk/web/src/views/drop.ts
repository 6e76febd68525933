import { useEffect, useState } from "preact/hooks";
import { describe } from "../describe.js";
import { useI18n } from "../i18n/context.js";
import { droppedOf } from "../upload/pick.js";
import type { UploadQueue } from "../upload/queue.js";
import { useToast } from "./toasts.js";

/** Files dropped anywhere go to this folder; true while some are held above the page. Undefined: they go nowhere. */
export function useDrop(queue: UploadQueue, folderId: number | undefined): boolean {
  const { t } = useI18n();
  const say = useToast();
  const [over, setOver] = useState(false);
  useEffect(() => {
    // A child that is entered comes before the parent that is left.
    let depth = 0;
    const hasFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes("Files") ?? false;
    const onEnter = (event: DragEvent): void => {
      if (!hasFiles(event)) return;
      depth++;
      setOver(folderId !== undefined);
    };
    const onLeave = (event: DragEvent): void => {
      if (!hasFiles(event)) return;
      depth--;
      if (depth <= 0) setOver(false);
    };
    // Without it the browser would leave the page for the file.
    const onOver = (event: DragEvent): void => {
      if (hasFiles(event)) event.preventDefault();
    };
    const onDrop = (event: DragEvent): void => {
      if (!hasFiles(event) || event.dataTransfer === null) return;
      event.preventDefault();
      depth = 0;
      setOver(false);
      if (folderId === undefined) return;
      droppedOf(event.dataTransfer)
        .then(({ picked, folders }) => {
          queue.add(picked, folderId);
          return queue.addFolders(folders, folderId);
        })
        .catch((error: unknown) => say(describe(error, t), { error: true }));
    };
    const listeners = { dragenter: onEnter, dragleave: onLeave, dragover: onOver, drop: onDrop } as const;
    for (const [name, listener] of Object.entries(listeners)) {
      document.addEventListener(name, listener as EventListener);
    }
    return () => {
      for (const [name, listener] of Object.entries(listeners)) {
        document.removeEventListener(name, listener as EventListener);
      }
    };
  }, [queue, folderId, say, t]);
  return over;
}
