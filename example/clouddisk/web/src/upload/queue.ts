import { type Api, ApiError } from "../api.js";
import type { LiveUpload } from "../live.js";
import type { Tabs } from "../tabs.js";
import { Folders } from "./folders.js";
import { Hasher } from "./hasher.js";
import type { Failed, Picked } from "./pick.js";
import type { RememberedUploads } from "./remembered.js";
import { runUpload } from "./run.js";
import { Speed } from "./speed.js";
import { activePhases, newUpload, reduceUpload, type UploadEvent, type UploadState } from "./state.js";
import { UnfinishedUploads } from "./unfinished.js";
import type { QueueView, Unfinished } from "./view.js";
import { Slots } from "./wait.js";

interface Session {
  facts: { hash: string; name: string; parentId: number };
  uploadId: string;
}

interface Item {
  id: number;
  file: File;
  path: readonly string[];
  parentId: number;
  folders: Folders;
  state: UploadState;
  hash: string | undefined;
  session: Session | undefined;
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
  readonly #unfinished: UnfinishedUploads;
  readonly #listeners = new Set<() => void>();
  readonly #speed = new Speed();
  readonly #unsubscribe: () => void;
  #movedBytes = 0;
  #lastId = 0;
  #notifying: ReturnType<typeof setTimeout> | undefined;
  #ticking: ReturnType<typeof setTimeout> | undefined;
  #telling: ReturnType<typeof setTimeout> | undefined;
  #untold = false;
  #view: QueueView = { lost: false, uploads: [], unfinished: [], bytesPerSecond: 0 };

  constructor(options: { api: Api; tabs: Tabs; user: string; remembered: RememberedUploads }) {
    const { api, remembered } = options;
    this.#api = api;
    this.#remembered = remembered;
    this.#unfinished = new UnfinishedUploads({
      ...options,
      own: () => [...this.#items.values()].flatMap(({ session }) => session?.uploadId ?? []),
      onChange: () => this.#notify(),
    });
    this.#unsubscribe = api.connection.subscribe(() => this.#notify());
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
    const folders = new Folders(this.#api, parentId);
    for (const { file, folders: path } of picked) this.#add({ file, path, parentId, folders });
    this.#startNext();
  }

  /** Files, and folders that no file would make as they are empty; gives those folders that could not be made. */
  async drop(
    picked: readonly Picked[],
    paths: readonly (readonly string[])[],
    parentId: number,
  ): Promise<Failed[]> {
    const folders = new Folders(this.#api, parentId);
    for (const { file, folders: path } of picked) this.#add({ file, path, parentId, folders });
    this.#startNext();
    const { signal } = new AbortController();
    const failed: Failed[] = [];
    for (const path of paths) {
      try {
        await this.#api.persist(signal, () => folders.find(path));
      } catch (error) {
        failed.push({ name: path.join("/"), error });
      }
    }
    if (failed.length < paths.length) this.#arrived();
    return failed;
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

  /** A file that could not be read has been chosen anew; false when that is another one. */
  chooseAgain(id: number, file: File): boolean {
    const item = this.#items.get(id);
    if (item === undefined || file.name !== item.file.name) return false;
    const { path, parentId, folders, session } = item;
    this.#items.delete(id);
    this.#add({ file, path, parentId, folders, session });
    this.#startNext();
    return true;
  }

  cancel(id: number): void {
    const item = this.#items.get(id);
    this.#stop(id, { type: "cancel" });
    if (item === undefined) return;
    this.#hasher.forget(item.file);
    this.#giveUp(item);
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
    this.#unsubscribe();
    this.#unfinished.close();
    clearTimeout(this.#notifying);
    clearTimeout(this.#ticking);
    clearTimeout(this.#telling);
  }

  /** The page goes: its uploads are nobody's from now on. */
  leave(): void {
    this.#unfinished.leave();
  }

  /** Asks the other tabs and the disk which uploads are open. */
  loadUnfinished(): Promise<void> {
    return this.#unfinished.begin();
  }

  /** The disk tells how far an upload is, perhaps one of another device. */
  moved(upload: LiveUpload): void {
    this.#unfinished.moved(upload);
  }

  /** Goes on with the file chosen for it, from the beginning should that have changed; false when it is another one. */
  continueWith(unfinished: Unfinished, file: File): boolean {
    if (file.name !== unfinished.name) return false;
    const { parentId, uploadId } = unfinished;
    const folders = new Folders(this.#api, parentId);
    this.#add({ file, path: [], parentId, folders, session: { facts: unfinished, uploadId } });
    this.#startNext();
    return true;
  }

  discard({ hash, name, parentId, uploadId }: Unfinished): void {
    this.#unfinished.drop(uploadId);
    this.#forget({ facts: { hash, name, parentId }, uploadId });
    this.#notify();
  }

  #add(one: Pick<Item, "file" | "path" | "parentId" | "folders"> & { session?: Session | undefined }): void {
    const id = ++this.#lastId;
    const { name, size: sizeBytes, lastModified: lastModifiedMs } = one.file;
    const before = one.session === undefined ? this.#unreadable(one) : undefined;
    if (before !== undefined) this.#items.delete(before.id);
    this.#items.set(id, {
      id,
      state: newUpload(sizeBytes),
      hash: this.#remembered.hashOf({ name, sizeBytes, lastModifiedMs }),
      speed: new Speed(),
      controller: undefined,
      ...one,
      session: one.session ?? before?.session,
    });
  }

  /** The same file as it was before it changed: this one takes its place. */
  #unreadable(one: Pick<Item, "file" | "path" | "parentId">): Item | undefined {
    return [...this.#items.values()].find(
      ({ state, file, parentId, path }) =>
        state.phase === "failed" &&
        file.name === one.file.name &&
        parentId === one.parentId &&
        path.join("/") === one.path.join("/"),
    );
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
    const { file, path, folders } = item;
    try {
      await runUpload(
        {
          file,
          knownHash: item.hash,
          signal,
          findParent: (again) => {
            if (again) folders.forget();
            return folders.find(path);
          },
          dispatch: (event) => {
            if (!signal.aborted) this.#dispatch(item.id, event);
          },
          onHash: (hash) => this.#onHash(item, hash),
          onSession: (facts, uploadId) => {
            if (item.session?.uploadId !== uploadId) this.#giveUp(item);
            item.session = { facts, uploadId };
            this.#remembered.add({ ...facts, lastModifiedMs: file.lastModified });
          },
        },
        { api: this.#api, hasher: this.#hasher, slots: this.#slots },
      );
      this.#onDone(item);
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

  #onHash(item: Item, hash: string): void {
    item.hash = hash;
    if (item.session === undefined || item.session.facts.hash === hash) return;
    // What was sent of it is of no use any more.
    this.#giveUp(item);
    this.#dispatch(item.id, { type: "changed" });
  }

  #onDone(item: Item): void {
    const { session, state } = item;
    // An upload that was begun, of what the disk turned out to have.
    if (session !== undefined && state.instant) this.#forget(session);
    else if (session !== undefined) this.#remembered.remove(session.facts);
    if (session !== undefined) this.#unfinished.drop(session.uploadId);
    item.session = undefined;
    this.#arrived();
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

  #giveUp(item: Item): void {
    if (item.session !== undefined) this.#forget(item.session);
    item.session = undefined;
  }

  #forget({ facts, uploadId }: Session): void {
    this.#remembered.remove(facts);
    this.#unfinished.drop(uploadId);
    // Should this fail, the disk gives the upload up by itself after a while.
    this.#api.cancelUpload(uploadId).catch(() => {});
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
        lost: this.#api.connection.lost,
        uploads: [...this.#items.values()].map(({ id, file, state, speed }) => ({
          id,
          name: file.name,
          state,
          bytesPerSecond: state.phase === "sending" ? speed.bytesPerSecond(nowMs) : 0,
        })),
        unfinished: this.#unfinished.list,
        bytesPerSecond: this.#speed.bytesPerSecond(nowMs),
      };
      this.#unfinished.update();
      for (const listener of this.#listeners) listener();
      // When nothing moves, that is to be seen as well: the speed falls.
      clearTimeout(this.#ticking);
      const sending = this.#view.uploads.some(({ state }) => state.phase === "sending");
      if (sending) this.#ticking = setTimeout(() => this.#notify(), 1000);
    }, 100);
  }
}
