/** An upload that has begun: enough to go on with it after a reload, once its file is chosen again. */
export interface Remembered {
  name: string;
  sizeBytes: number;
  lastModifiedMs: number;
  hash: string;
  parentId: number;
}

interface TextStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
}

/** The disk keeps open uploads for days, not for ever. */
const max = 500;

/** In localStorage, one list for each user. */
export class RememberedUploads {
  readonly #storage: TextStorage;
  readonly #key: string;
  #read: { text: string; list: readonly Remembered[] } = { text: "[]", list: [] };

  constructor(storage: TextStorage, username: string) {
    this.#storage = storage;
    this.#key = `clouddisk.uploads.${username}`;
  }

  /** Asked for every file of a folder: it is parsed once. */
  list(): readonly Remembered[] {
    try {
      const text = this.#storage.getItem(this.#key) ?? "[]";
      if (text !== this.#read.text) {
        const parsed: unknown = JSON.parse(text);
        this.#read = { text, list: Array.isArray(parsed) ? parsed.filter(isRemembered) : [] };
      }
      return this.#read.list;
    } catch {
      // Somebody else's text, or storage that is switched off: nothing is remembered.
      return [];
    }
  }

  add(upload: Remembered): void {
    this.#write([upload, ...this.list().filter((one) => !isSame(one, upload))].slice(0, max));
  }

  remove(upload: { hash: string; name: string; parentId: number }): void {
    this.#write(this.list().filter((one) => !isSame(one, upload)));
  }

  /** The hash of a file that has not changed since, wherever it was sent to. */
  hashOf(file: { name: string; sizeBytes: number; lastModifiedMs: number }): string | undefined {
    return this.list().find(
      (one) =>
        one.name === file.name &&
        one.sizeBytes === file.sizeBytes &&
        one.lastModifiedMs === file.lastModifiedMs,
    )?.hash;
  }

  #write(list: Remembered[]): void {
    try {
      this.#storage.setItem(this.#key, JSON.stringify(list));
    } catch {
      // Full or switched off: uploads work without it, and hash again after a reload.
    }
  }
}

function isSame(
  one: { hash: string; name: string; parentId: number },
  other: { hash: string; name: string; parentId: number },
): boolean {
  return one.hash === other.hash && one.name === other.name && one.parentId === other.parentId;
}

function isRemembered(value: unknown): value is Remembered {
  if (typeof value !== "object" || value === null) return false;
  const { name, sizeBytes, lastModifiedMs, hash, parentId } = value as Partial<Remembered>;
  return (
    typeof name === "string" &&
    typeof hash === "string" &&
    /^[0-9a-f]{64}$/.test(hash) &&
    [sizeBytes, lastModifiedMs, parentId].every(Number.isSafeInteger)
  );
}
