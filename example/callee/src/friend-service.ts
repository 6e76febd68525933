import type {
  FriendServiceRpcHandler,
  GetFriendsListRequest,
  GetFriendsListResponseInput,
} from "./gen/friend.js";
import type { UserTable } from "./user-table.js";

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
}
