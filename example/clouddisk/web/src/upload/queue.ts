import { type Api, ApiError, type FileFacts, type OpenUpload } from "../api.js";
import { Hasher } from "./hasher.js";
import type { Picked } from "./pick.js";
import type { RememberedUploads } from "./remembered.js";
import { persist, runUpload } from "./run.js";
import { Speed } from "./speed.js";
import { activePhases, newUpload, reduceUpload, type UploadEvent, type UploadState } from "./state.js";
import type { QueueView, Unfinished } from "./view.js";
import { Slots } from "./wait.js";

interface Item {
  id: number;
  file: File;
  folders: string[];
  parentId: number;
  state: UploadState;
  hash: string | undefined;
  session: { facts: FileFacts; uploadId: string } | undefined;
  speed: Speed;
  /** Of the run in progress. */
  controller: AbortController | undefined;
}

const filesAtOnce = 3;
const partsAtOnce = 4;
/** Of a thousand small files, not each is a reason to ask the disk for its list again. */
const tellEveryMs = 1500;

/** All uploads of the page: which run, which wait, and how far they are. */
export class UploadQueue {
  /** After files or folders have come to the disk. */
  onArrived: () => void = () => {};
  readonly #api: Api;
  readonly #remembered: RememberedUploads;
  readonly #hasher = new Hasher();
  readonly #slots = new Slots(partsAtOnce);
  readonly #items = new Map<number, Item>();
  readonly #folders = new Map<string, Promise<number>>();
  readonly #listeners = new Set<() => void>();
  readonly #speed = new Speed();
  #unfinished: Unfinished[] = [];
  #movedBytes = 0;
  #lastId = 0;
  #notifying: ReturnType<typeof setTimeout> | undefined;
  #ticking: ReturnType<typeof setTimeout> | undefined;
  #telling: ReturnType<typeof setTimeout> | undefined;
  #untold = false;
  #view: QueueView = { uploads: [], unfinished: [], bytesPerSecond: 0 };

  constructor(api: Api, remembered: RememberedUploads) {
    this.#api = api;
    this.#remembered = remembered;
  }

  get view(): QueueView {
    return this.#view;
  }

  get active(): boolean {
    return [...this.#items.values()].some(({ state }) => activePhases.includes(state.phase));
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  add(picked: readonly Picked[], parentId: number): void {
    for (const { file, folders } of picked) {
      const id = ++this.#lastId;
      const lastModifiedMs = file.lastModified;
      this.#items.set(id, {
        id,
        file,
        folders,
        parentId,
        state: newUpload(file.size),
        hash: this.#remembered.hashOf({ name: file.name, sizeBytes: file.size, lastModifiedMs }),
        session: undefined,
        speed: new Speed(),
        controller: undefined,
      });
    }
    this.#startNext();
  }

  /** Empty folders come with a drop, and no file would make them. */
  async addFolders(paths: readonly string[][], parentId: number): Promise<void> {
    const { signal } = new AbortController();
    for (const path of paths) await persist(signal, () => this.#findFolder(parentId, path, signal));
    if (paths.length > 0) this.#arrived();
  }

  pause(id: number): void {
    this.#stop(id, { type: "pause" });
  }

  resume(id: number): void {
    this.#dispatch(id, { type: "resume" });
    this.#startNext();
  }

  retry(id: number): void {
    const item = this.#items.get(id);
    // The file may have changed: whatever was known of it is asked anew.
    if (item !== undefined) item.hash = undefined;
    this.#dispatch(id, { type: "retry" });
    this.#startNext();
  }

  cancel(id: number): void {
    const session = this.#items.get(id)?.session;
    this.#stop(id, { type: "cancel" });
    if (session !== undefined) this.#forget(session.facts, session.uploadId);
  }

  remove(id: number): void {
    if (this.#items.get(id)?.state.phase !== "done") this.cancel(id);
    this.#items.delete(id);
    this.#notify();
  }

  pauseAll(): void {
    for (const id of this.#items.keys()) this.pause(id);
  }

  resumeAll(): void {
    for (const id of this.#items.keys()) this.#dispatch(id, { type: "resume" });
    this.#startNext();
  }

  clearFinished(): void {
    for (const [id, { state }] of this.#items) {
      if (state.phase === "done" || state.phase === "cancelled") this.#items.delete(id);
    }
    this.#notify();
  }

  /** Everything ends, as at a sign-out; what has begun can be gone on with later. */
  close(): void {
    for (const { controller } of this.#items.values()) controller?.abort();
    this.#items.clear();
    this.#listeners.clear();
    clearTimeout(this.#notifying);
    clearTimeout(this.#ticking);
    clearTimeout(this.#telling);
  }

  /** Asks the disk which uploads are open. */
  async loadUnfinished(): Promise<void> {
    let open: OpenUpload[];
    try {
      open = await this.#api.openUploads();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return;
    }
    const running = new Set([...this.#items.values()].map(({ session }) => session?.uploadId));
    this.#unfinished = open
      .filter(({ uploadID }) => !running.has(uploadID))
      .map((one) => ({
        key: one.uploadID,
        uploadId: one.uploadID,
        name: one.filename,
        hash: one.filehash,
        sizeBytes: one.filesize,
        parentId: one.parentId,
        sentBytes: Math.min(one.filesize, one.chunkexists.length * one.chunksize),
      }));
    // What the disk has given up is hashed again should it come back.
    const known = new Set(open.map(({ filehash }) => filehash));
    for (const one of this.#remembered.list()) if (!known.has(one.hash)) this.#remembered.remove(one);
    this.#notify();
  }

  /** Goes on with the file chosen for it; false when that is another one. */
  continueWith(unfinished: Unfinished, file: File): boolean {
    if (file.name !== unfinished.name || file.size !== unfinished.sizeBytes) return false;
    this.#unfinished = this.#unfinished.filter((one) => one !== unfinished);
    this.add([{ file, folders: [] }], unfinished.parentId);
    return true;
  }

  discard(unfinished: Unfinished): void {
    this.#unfinished = this.#unfinished.filter((one) => one !== unfinished);
    this.#forget(unfinished, unfinished.uploadId);
    this.#notify();
  }

  #startNext(): void {
    this.#notify();
    const all = [...this.#items.values()];
    let free = filesAtOnce - all.filter(({ controller }) => controller !== undefined).length;
    for (const item of all) {
      if (free <= 0) return;
      if (item.state.phase !== "waiting" || item.controller !== undefined) continue;
      free--;
      void this.#run(item);
    }
  }

  async #run(item: Item): Promise<void> {
    const controller = new AbortController();
    item.controller = controller;
    item.speed.reset();
    const { signal } = controller;
    const { file, folders } = item;
    try {
      await runUpload(
        {
          file,
          knownHash: item.hash,
          signal,
          findParent: () => this.#findFolder(item.parentId, folders, signal),
          dispatch: (event) => {
            if (!signal.aborted) this.#dispatch(item.id, event);
          },
          onSession: (facts, uploadId) => {
            item.hash = facts.hash;
            item.session = { facts, uploadId };
            this.#unfinished = this.#unfinished.filter((one) => one.uploadId !== uploadId);
            this.#remembered.add({ ...facts, lastModifiedMs: file.lastModified });
          },
        },
        { api: this.#api, hasher: this.#hasher, slots: this.#slots },
      );
      if (item.session !== undefined) this.#remembered.remove(item.session.facts);
      this.#arrived();
    } catch (error) {
      if (!signal.aborted) {
        this.#dispatch(item.id, { type: "fail", error });
        // A hash that the disk does not find in the bytes must not be used again.
        const final = !(error instanceof ApiError) || !error.temporary;
        if (final && item.session !== undefined) this.#remembered.remove(item.session.facts);
      }
    } finally {
      item.controller = undefined;
      this.#startNext();
    }
  }

  #stop(id: number, event: UploadEvent): void {
    this.#dispatch(id, event);
    this.#items.get(id)?.controller?.abort();
  }

  #dispatch(id: number, event: UploadEvent): void {
    const item = this.#items.get(id);
    if (item === undefined) return;
    const before = item.state;
    item.state = reduceUpload(before, event);
    if (item.state === before) return;
    if (event.type === "sent") {
      const nowMs = performance.now();
      item.speed.add(item.state.sentBytes, nowMs);
      this.#movedBytes += Math.max(0, item.state.sentBytes - before.sentBytes);
      this.#speed.add(this.#movedBytes, nowMs);
    }
    this.#notify();
  }

  #forget(file: { hash: string; name: string; parentId: number }, uploadId: string): void {
    this.#remembered.remove(file);
    // Should this fail, the disk gives the upload up by itself after a while.
    this.#api.cancelUpload(uploadId).catch(() => {});
  }

  /** Files of one folder ask for it once. */
  #findFolder(parentId: number, path: readonly string[], signal: AbortSignal): Promise<number> {
    let found = Promise.resolve(parentId);
    for (let depth = 1; depth <= path.length; depth++) {
      const key = JSON.stringify([parentId, ...path.slice(0, depth)]);
      const above = found;
      const name = path[depth - 1] ?? "";
      const known = this.#folders.get(key);
      found = known ?? above.then(async (id) => (await this.#api.createFolder(id, name, true)).id);
      if (known !== undefined) continue;
      this.#folders.set(key, found);
      // Asked for again the next time: it may be renamed, or in the trash by then.
      const drop = (): void => void this.#folders.delete(key);
      found.then(() => setTimeout(drop, 10_000), drop);
    }
    signal.throwIfAborted();
    return found;
  }

  /** The first is told at once, the others together after a while. */
  #arrived(): void {
    if (this.#telling !== undefined) {
      this.#untold = true;
      return;
    }
    this.#untold = false;
    this.onArrived();
    this.#telling = setTimeout(() => {
      this.#telling = undefined;
      if (this.#untold) this.#arrived();
    }, tellEveryMs);
  }

  /** Bytes come often; a view need not change more than ten times a second. */
  #notify(): void {
    this.#notifying ??= setTimeout(() => {
      this.#notifying = undefined;
      const nowMs = performance.now();
      this.#view = {
        uploads: [...this.#items.values()].map(({ id, file, state, speed }) => ({
          id,
          name: file.name,
          state,
          bytesPerSecond: state.phase === "sending" ? speed.bytesPerSecond(nowMs) : 0,
        })),
        unfinished: this.#unfinished,
        bytesPerSecond: this.#speed.bytesPerSecond(nowMs),
      };
      for (const listener of this.#listeners) listener();
      // When nothing moves, that is to be seen as well: the speed falls.
      clearTimeout(this.#ticking);
      const sending = this.#view.uploads.some(({ state }) => state.phase === "sending");
      if (sending) this.#ticking = setTimeout(() => this.#notify(), 1000);
    }, 100);
  }
}
