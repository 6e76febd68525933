import { on } from "node:events";
import type { CallContext } from "mprpc";
import type {
  FriendOnlineInput,
  FriendServiceRpcHandler,
  GetFriendsListRequest,
  GetFriendsListResponseInput,
  WatchFriendsRequest,
} from "./gen/friend.js";
import type { User, UserTable } from "./user-table.js";

export class FriendService implements FriendServiceRpcHandler {
  readonly #users: UserTable;

  constructor(users: UserTable) {
    this.#users = users;
  }

  getFriendsList({ userid }: GetFriendsListRequest): GetFriendsListResponseInput {
    if (this.#users.get(userid) === undefined) {
      return { result: { errcode: 1, errmsg: `there is no user ${userid}` } };
    }
    const friends = this.#users.friendsOf(userid).map(({ name }) => name);
    return { result: { errcode: 0 }, friends };
  }

  /** Ends when the caller leaves, or when this provider is about to stop: then the caller may watch at another. */
  async *watchFriends(
    { userid }: WatchFriendsRequest,
    { signal, draining }: CallContext,
  ): AsyncGenerator<FriendOnlineInput, void> {
    const end = AbortSignal.any([signal, draining]);
    // Listens before it looks who is there, so that nobody is missed.
    const arrivals = on(this.#users.events, "online", { signal: end });
    const friends = this.#users.friendsOf(userid);
    for (const { name } of friends.filter(({ id }) => this.#users.isOnline(id))) yield { name };
    try {
      for await (const [arrival] of arrivals) {
        const user = arrival as User;
        if (friends.includes(user)) yield { name: user.name };
      }
    } catch (error) {
      if (!end.aborted) throw error;
    }
  }
}
