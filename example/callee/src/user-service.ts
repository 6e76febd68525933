import type {
  AvatarPiece,
  LoginRequest,
  LoginResponseInput,
  RegisterRequest,
  RegisterResponseInput,
  UploadAvatarResponseInput,
  UserServiceRpcHandler,
} from "./gen/user.js";
import type { UserTable } from "./user-table.js";

const avatarMaxBytes = 1024 * 1024;

/** `bytes` fields arrive as Buffers and are returned as text or bytes, whichever is at hand. */
export class UserService implements UserServiceRpcHandler {
  readonly #users: UserTable;

  constructor(users: UserTable) {
    this.#users = users;
  }

  login({ name, pwd }: LoginRequest): LoginResponseInput {
    const user = this.#users.find(name.toString());
    if (user === undefined || user.password !== pwd.toString()) {
      return { result: { errcode: 1, errmsg: "wrong name or password" }, success: false };
    }
    this.#users.comeOnline(user);
    return { result: { errcode: 0 }, success: true };
  }

  register({ id, name, pwd }: RegisterRequest): RegisterResponseInput {
    if (name.length === 0) return { result: { errcode: 3, errmsg: "a user needs a name" }, success: false };
    if (!this.#users.add({ id, name: name.toString(), password: pwd.toString() })) {
      return { result: { errcode: 2, errmsg: "this id or name is taken" }, success: false };
    }
    return { result: { errcode: 0 }, success: true };
  }

  /** Returns as soon as the picture is too large: the caller stops sending then. */
  async uploadAvatar(pieces: AsyncIterable<AvatarPiece>): Promise<UploadAvatarResponseInput> {
    let [userid, size] = [0, 0];
    const received: Buffer[] = [];
    for await (const piece of pieces) {
      userid ||= piece.userid;
      size += piece.data.length;
      if (size > avatarMaxBytes) {
        return { result: { errcode: 4, errmsg: `an avatar has at most ${avatarMaxBytes} bytes` } };
      }
      received.push(piece.data);
    }
    if (this.#users.get(userid) === undefined) {
      return { result: { errcode: 1, errmsg: `there is no user ${userid}` } };
    }
    this.#users.setAvatar(userid, Buffer.concat(received));
    return { result: { errcode: 0 }, size };
  }
}
