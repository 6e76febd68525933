import type { CreatePart } from "../common/part.js";
import { tracedLogger } from "../common/trace.js";
import { Files } from "./files.js";
import { FileService, UserService } from "./gen/account.js";
import { Users } from "./users.js";

/** Users, sessions, and the names of their files. */
export const createAccount: CreatePart = (host) => {
  const users = new Users(host.database, host.settings.account);
  const files = new Files(host.database);
  return {
    name: "account",
    log: tracedLogger(host.app.log, "account"),
    notify(provider) {
      provider.notifyService(UserService, users.handlers());
      provider.notifyService(FileService, files.handlers());
    },
  };
};
