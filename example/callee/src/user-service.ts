import type {
  LoginRequest,
  LoginResponseInput,
  RegisterRequest,
  RegisterResponseInput,
  UserServiceRpcHandler,
} from "./gen/user.js";
import type { UserTable } from "./user-table.js";

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
    return { result: { errcode: 0 }, success: true };
  }

  register({ id, name, pwd }: RegisterRequest): RegisterResponseInput {
    if (name.length === 0) return { result: { errcode: 3, errmsg: "a user needs a name" }, success: false };
    if (!this.#users.add({ id, name: name.toString(), password: pwd.toString() })) {
      return { result: { errcode: 2, errmsg: "this id or name is taken" }, success: false };
    }
    return { result: { errcode: 0 }, success: true };
  }
}
