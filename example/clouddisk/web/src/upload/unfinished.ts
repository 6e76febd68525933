import { type Api, ApiError, type OpenUpload } from "../api.js";
import type { LiveUpload } from "../live.js";
import type { Tabs } from "../tabs.js";
import { Elsewhere } from "./elsewhere.js";
import type { RememberedUploads } from "./remembered.js";
import type { Unfinished } from "./view.js";

const askEveryMs = 10_000;
/** Another device that has sent no part for so long has stopped. */
const quietMs = 60_000;

/** The uploads that are open at the disk and not of this tab: of earlier visits, of other tabs, of other devices. */
export class UnfinishedUploads {
  readonly #api: Api;
  readonly #remembered: RememberedUploads;
  readonly #elsewhere: Elsewhere;
  readonly #own: () => readonly string[];
  readonly #onChange: () => void;
  #open: readonly OpenUpload[] = [];
  /** What was told of parts that came from elsewhere, by upload. */
  readonly #moving = new Map<string, { partsDone: number; quiet: ReturnType<typeof setTimeout> }>();
  #asking: ReturnType<typeof setInterval> | undefined;

  constructor(options: {
    api: Api;
    tabs: Tabs;
    user: string;
    remembered: RememberedUploads;
    /** The ids of this tab's uploads. */
    own: () => readonly string[];
    onChange: () => void;
  }) {
    const { own, onChange } = options;
    this.#api = options.api;
    this.#remembered = options.remembered;
    this.#own = own;
    this.#onChange = onChange;
    this.#elsewhere = new Elsewhere({ ...options, onChange: () => void this.load() });
  }

  get list(): Unfinished[] {
    const own = new Set(this.#own());
    return this.#open
      .filter(({ uploadID }) => !own.has(uploadID))
      .map((one) => ({
        key: one.uploadID,
        uploadId: one.uploadID,
        name: one.filename,
        hash: one.filehash,
        sizeBytes: one.filesize,
        parentId: one.parentId,
        sentBytes: Math.min(one.filesize, this.#partsOf(one) * one.chunksize),
        elsewhere: this.#elsewhere.has(one.uploadID)
          ? ("tab" as const)
          : this.#moving.has(one.uploadID)
            ? ("device" as const)
            : undefined,
      }));
  }

  /** Asks the other tabs, then the disk. */
  async begin(): Promise<void> {
    await this.#elsewhere.ask();
    await this.load();
  }

  /** Asks the disk which uploads are open. */
  async load(): Promise<void> {
    let open: OpenUpload[];
    try {
      open = await this.#api.openUploads();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return;
    }
    this.#open = open;
    // What the disk has given up is hashed again should it come back.
    const known = new Set(open.map(({ filehash }) => filehash));
    for (const one of this.#remembered.list()) if (!known.has(one.hash)) this.#remembered.remove(one);
    this.#watch();
    this.#onChange();
  }

  /** The disk tells how far one is, whoever sends it. */
  moved({ id, partsDone, state }: LiveUpload): void {
    if (this.#own().includes(id)) return;
    const known = this.#open.find(({ uploadID }) => uploadID === id);
    // It has just been begun, or gets on. This tab's own of before a reload is told of late, and does not.
    const knownParts = known === undefined ? 0 : this.#partsOf(known);
    const moves = partsDone === 0 ? knownParts === 0 : known !== undefined && partsDone > knownParts;
    if (state !== "open" || moves) {
      clearTimeout(this.#moving.get(id)?.quiet);
      this.#moving.delete(id);
    }
    if (state !== "open") this.drop(id);
    else if (moves) {
      const stop = (): void => {
        this.#moving.delete(id);
        this.#onChange();
      };
      this.#moving.set(id, { partsDone, quiet: setTimeout(stop, quietMs) });
    }
    if (known === undefined && state === "open") void this.load();
    this.#onChange();
  }

  #partsOf({ uploadID, chunkexists }: OpenUpload): number {
    return Math.max(chunkexists.length, this.#moving.get(uploadID)?.partsDone ?? 0);
  }

  drop(uploadId: string): void {
    this.#open = this.#open.filter((one) => one.uploadID !== uploadId);
    this.#watch();
  }

  /** This tab's uploads may be other ones now. */
  update(): void {
    this.#elsewhere.update();
  }

  leave(): void {
    this.#elsewhere.leave();
  }

  close(): void {
    clearInterval(this.#asking);
    for (const { quiet } of this.#moving.values()) clearTimeout(quiet);
    this.#elsewhere.close();
  }

  /** A tab that crashed says nothing. */
  #watch(): void {
    clearInterval(this.#asking);
    this.#asking = undefined;
    if (this.#elsewhere.any) this.#asking = setInterval(() => void this.#elsewhere.ask(), askEveryMs);
  }
}
