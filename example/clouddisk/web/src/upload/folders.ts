import type { Api } from "../api.js";

/**
 * The folders of one drop or choice, beneath the folder it came to: each is asked for once, and made where it is missing. The
 * next drop asks anew, since a folder of this name may be another one by then.
 */
export class Folders {
  readonly #api: Api;
  readonly #parentId: number;
  readonly #found = new Map<string, Promise<number>>();

  constructor(api: Api, parentId: number) {
    this.#api = api;
    this.#parentId = parentId;
  }

  /** The id of the folder at this path. */
  find(path: readonly string[]): Promise<number> {
    let found = Promise.resolve(this.#parentId);
    for (let depth = 1; depth <= path.length; depth++) {
      const key = JSON.stringify(path.slice(0, depth));
      const above = found;
      const name = path[depth - 1] ?? "";
      const known = this.#found.get(key);
      found = known ?? above.then(async (id) => (await this.#api.createFolder(id, name, true)).id);
      if (known !== undefined) continue;
      this.#found.set(key, found);
      found.catch(() => this.#found.delete(key));
    }
    return found;
  }

  /** One of them is not there any more, as it was moved to the trash: they are asked for again. */
  forget(): void {
    this.#found.clear();
  }
}
