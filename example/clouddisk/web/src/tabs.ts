/** What the tabs of one browser tell each other. */
export type TabMessage =
  /** Something of this user's files is another way now. */
  | { type: "changed"; user: string }
  | { type: "signedIn" | "signedOut"; user: string }
  /** Who is asked for the uploads it has answers with the next one. */
  | { type: "who"; user: string }
  | { type: "uploads"; user: string; tab: string; uploadIds: readonly string[] };

type Listener = (message: TabMessage) => void;

/** The way to the other tabs of this browser. They are of this page too, so what they say is taken as it is. */
export class Tabs {
  /** Of this one. */
  readonly id = `${Date.now()}-${Math.random()}`;
  readonly #channel = new BroadcastChannel("clouddisk");
  readonly #listeners = new Set<Listener>();

  constructor() {
    this.#channel.addEventListener("message", ({ data }: MessageEvent<TabMessage>) => {
      for (const listener of this.#listeners) listener(data);
    });
  }

  post(message: TabMessage): void {
    this.#channel.postMessage(message);
  }

  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
