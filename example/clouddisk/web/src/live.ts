/** How far an upload in parts is, of this device or another one. */
export interface LiveUpload {
  id: string;
  partsDone: number;
  state: "open" | "done" | "cancelled";
}

/** A burst of changes is one. */
const togetherMs = 400;
/** When the disk refuses the feed: too many are open, a proxy or an older disk does not have it. The page works without. */
const refusedMs = 30_000;
/** This tab, or another one of this browser, may have signed out itself, and says so better. */
const partingMs = 1_000;

/**
 * What other devices and tabs change, as it happens. Only while the tab is seen: a browser has six connections for all its tabs, and
 * who looks again is told what was missed.
 */
export class Live {
  /** Something of the user's files is another way now. */
  onChange: () => void = () => {};
  onUpload: (upload: LiveUpload) => void = () => {};
  /** Something may have been missed: what was loaded before there was a feed is older than that. */
  onBehind: () => void = () => {};
  /** The session has ended. */
  onSignedOut: () => void = () => {};
  #source: EventSource | undefined;
  #after = "";
  #changing: ReturnType<typeof setTimeout> | undefined;
  #again: ReturnType<typeof setTimeout> | undefined;

  start(): void {
    document.addEventListener("visibilitychange", this.#follow);
    this.#follow();
  }

  close(): void {
    document.removeEventListener("visibilitychange", this.#follow);
    clearTimeout(this.#changing);
    this.#changing = undefined;
    this.#end();
  }

  readonly #follow = (): void => {
    if (document.visibilityState === "hidden") this.#end();
    else if (this.#source === undefined) this.#open();
  };

  #open(): void {
    clearTimeout(this.#again);
    const source = new EventSource(this.#after === "" ? "/api/events" : `/api/events?after=${this.#after}`);
    this.#source = source;
    const on = (name: string, listener: (data: unknown) => void): void =>
      source.addEventListener(name, (event: MessageEvent<string>) => {
        const first = this.#after === "";
        if (event.lastEventId !== "") this.#after = event.lastEventId;
        if (first) this.#behind();
        listener(JSON.parse(event.data));
      });
    on("ready", () => {});
    on("reload", () => this.#behind());
    on("entry", () => this.#change());
    on("upload", (data) => this.onUpload((data as { upload: LiveUpload }).upload));
    on("signedOut", () => {
      this.close();
      this.#again = setTimeout(() => this.onSignedOut(), partingMs);
    });
    source.addEventListener("error", () => {
      // The browser comes back by itself, unless it was refused.
      if (source.readyState !== EventSource.CLOSED || this.#source !== source) return;
      this.#source = undefined;
      this.#again = setTimeout(this.#follow, refusedMs);
    });
  }

  #end(): void {
    clearTimeout(this.#again);
    this.#source?.close();
    this.#source = undefined;
  }

  #behind(): void {
    this.onBehind();
    this.#change();
  }

  #change(): void {
    this.#changing ??= setTimeout(() => {
      this.#changing = undefined;
      this.onChange();
    }, togetherMs);
  }
}
