import type { CreatePart } from "../common/part.js";
import { tracedLogger } from "../common/trace.js";
import { Files } from "./files.js";
import { FileService, UserService } from "./gen/account.js";
import { Purger } from "./purger.js";
import { Users } from "./users.js";

/** Users, sessions, and the names of their files. */
export const createAccount: CreatePart = (host) => {
  const users = new Users(host.database, host.settings.account);
  const log = tracedLogger(host.app.log, "account");
  const purger = new Purger(host.database, log);
  const files = new Files(host.database, purger);
  return {
    name: "account",
    log,
    notify(provider) {
      provider.notifyService(UserService, users.handlers());
      provider.notifyService(FileService, files.handlers());
    },
    async start() {
      // dbproxy may come later: the call waits for it, the start does not.
      users.makeOperator().catch((error: unknown) => {
        log.warn("the operator was not made ([account] operator)", { error });
      });
    },
    stop: () => purger.stop(),
  };
};
