import { EventEmitter } from "node:events";

export interface User {
  readonly id: number;
  readonly name: string;
  readonly password: string;
}

/** Users in memory, enough for an example; a real table would be a database that keeps hashes of passwords. */
export class UserTable {
  readonly #byId = new Map<number, User>();
  readonly #byName = new Map<string, User>();
  readonly #friends = new Map<number, readonly number[]>();
  readonly #online = new Set<number>();
  readonly #avatars = new Map<number, Buffer>();
  /** `online` with the `User` who has come. One listener a watcher, however many there are. */
  readonly events = new EventEmitter<{ online: [User] }>().setMaxListeners(0);

  constructor() {
    this.add({ id: 1, name: "gao yang", password: "666666" });
    this.add({ id: 2, name: "zhang san", password: "123456" });
    this.add({ id: 3, name: "li si", password: "234567" });
    this.add({ id: 4, name: "wang wu", password: "345678" });
    this.#friends.set(1, [2, 3, 4]);
    this.#friends.set(2, [1, 3]);
  }

  /** False when the id or the name is taken. */
  add(user: User): boolean {
    if (this.#byId.has(user.id) || this.#byName.has(keyOf(user.name))) return false;
    this.#byId.set(user.id, user);
    this.#byName.set(keyOf(user.name), user);
    return true;
  }

  get(id: number): User | undefined {
    return this.#byId.get(id);
  }

  find(name: string): User | undefined {
    return this.#byName.get(keyOf(name));
  }

  friendsOf(id: number): readonly User[] {
    return (this.#friends.get(id) ?? []).flatMap((friend) => this.#byId.get(friend) ?? []);
  }

  isOnline(id: number): boolean {
    return this.#online.has(id);
  }

  /** The user has logged in. */
  comeOnline(user: User): void {
    if (this.#online.has(user.id)) return;
    this.#online.add(user.id);
    this.events.emit("online", user);
  }

  setAvatar(id: number, picture: Buffer): void {
    this.#avatars.set(id, picture);
  }
}

/** "Zhang San" and "zhang san" are one user. */
function keyOf(name: string): string {
  return name.toLowerCase();
}
