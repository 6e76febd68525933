import { UnreadableFile } from "./hasher.js";

/** A file and the folders it was found in, from the top of what was picked. */
export interface Picked {
  file: File;
  folders: string[];
}

/** What could not be had, or made, by its name. */
export interface Failed {
  name: string;
  error: unknown;
}

export interface Dropped {
  picked: Picked[];
  /** Folders with nothing in them. */
  folders: string[][];
  /** What the browser could not read. */
  failed: Failed[];
}

/** Of an `<input type="file">`, `webkitdirectory` or not. */
export function pickedOf(files: Iterable<File>): Picked[] {
  return [...files].map((file) => ({ file, folders: file.webkitRelativePath.split("/").slice(0, -1) }));
}

/** What was dropped. The items have to be taken at once: after the event there is nothing in them. */
export async function droppedOf(transfer: DataTransfer): Promise<Dropped> {
  const entries: FileSystemEntry[] = [];
  const dropped: Dropped = { picked: [], folders: [], failed: [] };
  for (const item of transfer.items) {
    const entry = item.webkitGetAsEntry();
    // What a program makes in memory is a file all the same, and of no folder.
    const file = entry === null ? item.getAsFile() : null;
    if (entry !== null) entries.push(entry);
    else if (file !== null) dropped.picked.push({ file, folders: [] });
  }
  for (const entry of entries) await visit(entry, [], dropped);
  return dropped;
}

/** One that cannot be read keeps no other one back. */
async function visit(entry: FileSystemEntry, above: string[], dropped: Dropped): Promise<void> {
  try {
    if (isFile(entry)) {
      const file = await new Promise<File>((resolve, reject) => entry.file(resolve, reject));
      dropped.picked.push({ file, folders: above });
    } else if (isFolder(entry)) {
      const path = [...above, entry.name];
      const children = await childrenOf(entry);
      if (children.length === 0) dropped.folders.push(path);
      for (const child of children) await visit(child, path, dropped);
    }
  } catch (cause) {
    const error = new UnreadableFile(String(cause), { cause });
    dropped.failed.push({ name: [...above, entry.name].join("/"), error });
  }
}

function isFile(entry: FileSystemEntry): entry is FileSystemFileEntry {
  return entry.isFile;
}

function isFolder(entry: FileSystemEntry): entry is FileSystemDirectoryEntry {
  return entry.isDirectory;
}

/** A reader gives a hundred at a time, then none. */
async function childrenOf(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const all: FileSystemEntry[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    if (some.length === 0) return all;
    all.push(...some);
  }
}
