import type { Tabs } from "../tabs.js";

/** Tabs answer within milliseconds; one that is hidden has slow timers, not slow messages. */
const answerMs = 250;

/** Which uploads other tabs of this browser have, so that this one leaves them alone. */
export class Elsewhere {
  readonly #tabs: Tabs;
  readonly #user: string;
  readonly #own: () => readonly string[];
  readonly #onChange: () => void;
  readonly #of = new Map<string, ReadonlySet<string>>();
  readonly #unsubscribe: () => void;
  #answered = new Set<string>();
  #told = "";

  constructor(options: {
    tabs: Tabs;
    user: string;
    /** The ids of this tab's uploads. */
    own: () => readonly string[];
    onChange: () => void;
  }) {
    this.#tabs = options.tabs;
    this.#user = options.user;
    this.#own = options.own;
    this.#onChange = options.onChange;
    this.#unsubscribe = this.#tabs.subscribe((message) => {
      if (message.user !== this.#user) return;
      if (message.type === "who") this.#tell(this.#own());
      if (message.type !== "uploads") return;
      this.#answered.add(message.tab);
      this.#set(message.tab, message.uploadIds);
    });
  }

  has(uploadId: string): boolean {
    return [...this.#of.values()].some((ids) => ids.has(uploadId));
  }

  get any(): boolean {
    return this.#of.size > 0;
  }

  /** Resolves when every tab has had the time to answer; who has not is not there any more. */
  async ask(): Promise<void> {
    this.#answered = new Set();
    this.#tabs.post({ type: "who", user: this.#user });
    await new Promise((resolve) => setTimeout(resolve, answerMs));
    for (const tab of [...this.#of.keys()]) if (!this.#answered.has(tab)) this.#set(tab, []);
  }

  /** Tells the others when this tab's uploads are other ones than before. */
  update(): void {
    const ids = this.#own();
    if (ids.join() !== this.#told) this.#tell(ids);
  }

  /** The others need not wait to find out that nobody answers. */
  leave(): void {
    if (this.#told !== "") this.#tell([]);
  }

  close(): void {
    this.#unsubscribe();
    this.leave();
  }

  #tell(uploadIds: readonly string[]): void {
    this.#told = uploadIds.join();
    this.#tabs.post({ type: "uploads", user: this.#user, tab: this.#tabs.id, uploadIds });
  }

  #set(tab: string, uploadIds: readonly string[]): void {
    const before = this.#of.get(tab) ?? new Set();
    if (uploadIds.length === before.size && uploadIds.every((id) => before.has(id))) return;
    if (uploadIds.length === 0) this.#of.delete(tab);
    else this.#of.set(tab, new Set(uploadIds));
    this.#onChange();
  }
}
