import { randomBytes } from "node:crypto";
import type { HandlersOf } from "mprpc";
import { answer } from "../common/answer.js";
import { Code, Refusal } from "../common/codes.js";
import { checkName } from "../common/names.js";
import type { Settings } from "../common/settings.js";
import { sessionOf } from "../common/tickets.js";
import { isMixedScript, userKey } from "../common/user-names.js";
import type { Database } from "../dbproxy/client.js";
import { Attempts } from "./attempts.js";
import { checkHash, outcomeOf, toEntry, userIdOf } from "./entries.js";
import type { Feed } from "./feed.js";
import type {
  AuthenticateReplyInput,
  AuthenticateRequest,
  SigninReplyInput,
  SignupReplyInput,
  SignupRequest,
  UserFileRenameReplyInput,
  UserFilesReplyInput,
  UserInfoReplyInput,
  UserService,
} from "./gen/account.js";
import { checkPassword, Passwords } from "./passwords.js";

/**
 * A user name as it is kept: NFC; letters of any script, digits, `.`, `_` and `-`; at least 3 bytes of UTF-8, as in the
 * projects before this one, so that two Chinese characters do; at most 64 characters;
 * no mixture of scripts that look alike. Throws Refusal (10001).
 */
export function checkUsername(username: string): string {
  const normal = username.normalize("NFC");
  if (!/^[\p{L}\p{M}\p{N}._-]*$/u.test(normal) || Buffer.byteLength(normal) < 3 || normal.length > 64) {
    throw new Refusal(
      Code.PARAMETER,
      "the user name must have 3 to 64 characters: letters, digits, dots, underscores and hyphens",
    );
  }
  if (isMixedScript(normal)) {
    throw new Refusal(Code.PARAMETER, "the user name mixes letters of scripts that look alike");
  }
  return normal;
}

const wrong = (): Refusal => new Refusal(Code.SIGNIN, "the user name or the password is wrong");

export class Users {
  readonly #database: Database;
  readonly #settings: Settings["account"];
  readonly #passwords = new Passwords();
  readonly #attempts: Attempts;
  readonly #feed: Feed;

  constructor(database: Database, settings: Settings["account"], feed: Feed) {
    this.#database = database;
    this.#feed = feed;
    this.#settings = settings;
    this.#attempts = new Attempts(settings.failuresMax);
  }

  handlers(): HandlersOf<typeof UserService> {
    return {
      signup: (request) => answer(() => this.#signup(request)),
      signupPolicy: () => {
        const { openSignup: open, contact } = this.#settings;
        return answer(async () => ({ open, contact }));
      },
      signin: (request) => answer(() => this.#signin(request)),
      signout: ({ token }) =>
        answer(async () => {
          const tokenHash = sessionOf(token);
          await this.#database.run("session.delete", { tokenHash });
          this.#feed.endSession(tokenHash);
          return {};
        }),
      authenticate: (request) => answer(() => this.#authenticate(request)),
      userInfo: ({ userId }) => answer(() => this.#userInfo(userIdOf(userId))),
      userFiles: ({ userId, limit }) => answer(() => this.#userFiles(userIdOf(userId), limit)),
      userFileRename: (request) => answer(() => this.#rename(request)),
      watch: (request, context) => this.#feed.watch(request, context),
    };
  }

  async #signup({ username, password, byUserId }: SignupRequest): Promise<SignupReplyInput> {
    if (!this.#settings.openSignup && !(byUserId > 0n && (await this.#isOperator(userIdOf(byUserId))))) {
      throw new Refusal(Code.FORBIDDEN, "sign-up is closed: ask the operator of the disk ([account] signup)");
    }
    return this.#create(username, password);
  }

  /** Makes the operator the settings name, when there is none. Rejects with RpcError while the database is away. */
  async makeOperator(): Promise<void> {
    const { operator, operatorPassword } = this.#settings;
    if (operator === undefined || operatorPassword === undefined) return;
    if ((await this.#database.run("user.find", { username: operator })).user !== null) return;
    await this.#create(operator, operatorPassword);
  }

  async #isOperator(userId: number): Promise<boolean> {
    const { operator } = this.#settings;
    if (operator === undefined) return (await this.#database.run("user.first", {})).id === userId;
    return (
      userKey((await this.#database.run("user.get", { userId })).user?.username ?? "") === userKey(operator)
    );
  }

  async #create(given: string, password: string): Promise<SignupReplyInput> {
    const username = checkUsername(given);
    checkPassword(password);
    const taken = (): Refusal => new Refusal(Code.SIGNUP, "the user name is taken");
    if ((await this.#database.run("user.find", { username })).user !== null) throw taken();
    const passwordHash = await this.#passwords.hash(password);
    const { quotaBytes } = this.#settings;
    const { created } = await this.#database.run("user.create", { username, passwordHash, quotaBytes });
    if (!created) throw taken();
    return {};
  }

  async #signin(request: { username: string; password: string; address: string }): Promise<SigninReplyInput> {
    const { password, address } = request;
    const username = request.username.normalize("NFC");
    // No user has these, and the database is not asked for names of any length.
    if (username === "" || username.length > 64 || password.length > 1024) throw wrong();
    const attempt = this.#attempts.begin(userKey(username), address);
    let known: { id: number; username: string } | null;
    try {
      known = await this.#user(username, password);
    } catch (error) {
      // Neither right nor wrong: the database is away.
      attempt.undo();
      throw error;
    }
    if (known === null) throw wrong();
    attempt.succeeded();
    const token = randomBytes(32).toString("base64url");
    const expiresAtMs = Date.now() + this.#settings.sessionTtlMs;
    await this.#database.run("session.create", {
      userId: known.id,
      tokenHash: sessionOf(token),
      expiresAtMs,
    });
    return { token, expiresAtMs, userId: known.id, username: known.username };
  }

  /** Who has this name and password; null when nobody does. */
  async #user(username: string, password: string): Promise<{ id: number; username: string } | null> {
    const { user } = await this.#database.run("user.find", { username });
    return (await this.#passwords.verify(user?.passwordHash, password)) ? user : null;
  }

  async #authenticate(request: AuthenticateRequest): Promise<AuthenticateReplyInput> {
    const { username } = request;
    // Only this is stored of a token: who reads the database cannot sign in with what is there.
    const tokenHash = request.session === "" ? sessionOf(request.token) : checkHash(request.session);
    const { session } = await this.#database.run("session.find", { tokenHash });
    if (session === null || (username !== "" && userKey(username) !== userKey(session.username))) {
      throw new Refusal(Code.TOKEN, "the token is not valid any more; sign in again");
    }
    return session;
  }

  async #userInfo(userId: number): Promise<UserInfoReplyInput> {
    const { user } = await this.#database.run("user.get", { userId });
    if (user === null) throw new Refusal(Code.NO_SUCH_USER, "there is no such user");
    const { username, signupAtMs, lastActiveMs, quotaBytes, usedBytes } = user;
    const operator = await this.#isOperator(userId);
    return { username, signupAtMs, lastActiveMs, quotaBytes, usedBytes, operator };
  }

  async #userFiles(userId: number, given: number): Promise<UserFilesReplyInput> {
    const limit = Math.min(Math.max(1, given === 0 ? 100 : given), 1000);
    const { entries } = await this.#database.run("entry.recent", { userId, limit });
    return { files: entries.map((entry) => toEntry(entry)) };
  }

  async #rename(request: {
    userId: bigint;
    fileHash: string;
    newName: string;
    oldName: string;
  }): Promise<UserFileRenameReplyInput> {
    const userId = userIdOf(request.userId);
    const fileHash = checkHash(request.fileHash);
    const name = checkName(request.newName);
    const oldName = request.oldName.normalize("NFC");
    const { entry } = await this.#database.run("entry.byHash", {
      userId,
      fileHash,
      ...(oldName === "" ? {} : { name: oldName }),
    });
    if (entry === null) throw new Refusal(Code.NOT_FOUND, "there is no such file");
    const file = outcomeOf(await this.#database.run("entry.rename", { userId, id: entry.id, name }));
    this.#feed.changed(userId);
    return { file };
  }
}
