import type { FastifyReply, FastifyRequest } from "fastify";
import type { Logger } from "mprpc";
import { FileServiceStub, UserServiceStub } from "../account/gen/account.js";
import { type AuthenticatedUser, Authenticator, cookieName } from "../common/auth.js";
import { isSecure, publicOrigin } from "../common/origin.js";
import type { Host } from "../common/part.js";
import { DownloadServiceStub } from "../download/gen/download.js";
import { UploadServiceStub } from "../upload/gen/upload.js";

type SignedIn = Pick<AuthenticatedUser, "userId" | "username" | "session">;

/** Where bodies go: empty for the gateway's own origin. */
export interface EntryPoint {
  entry: string;
  ticket: string;
}

/** Entry points are extras of a sign-in: it does not wait long for a server of bodies that is away. */
const entryTimeoutMs = 1500;

/** What the gateway's routes have in common: the services behind it, and whose request it is. */
export class Gateway {
  readonly host: Host;
  readonly log: Logger;
  readonly authenticator: Authenticator;
  readonly users: UserServiceStub;
  readonly files: FileServiceStub;
  readonly #upload: UploadServiceStub;
  readonly #download: DownloadServiceStub;
  readonly #signedIn = new WeakMap<FastifyRequest, AuthenticatedUser>();

  constructor(host: Host, log: Logger) {
    this.host = host;
    this.log = log;
    this.authenticator = new Authenticator(host);
    this.users = new UserServiceStub(host.channel);
    this.files = new FileServiceStub(host.channel);
    this.#upload = new UploadServiceStub(host.channel);
    this.#download = new DownloadServiceStub(host.channel);
  }

  /** Asked once a request, however many of its steps want to know. */
  async user(request: FastifyRequest): Promise<AuthenticatedUser> {
    const known = this.#signedIn.get(request);
    if (known !== undefined) return known;
    const user = await this.authenticator.user(request);
    this.#signedIn.set(request, user);
    return user;
  }

  /** Rejects with RpcError when no server of bodies answers. */
  entryPoint(kind: "upload" | "download", user: SignedIn, waitForReady = true): Promise<EntryPoint> {
    const { userId, username, session } = user;
    const options = { timeoutMs: entryTimeoutMs, waitForReady };
    return kind === "upload"
      ? this.#upload.uploadEntry({ userId, username, session }, options)
      : this.#download.downloadEntry({ userId, username, session }, options);
  }

  /** Both; one that is away is empty, so that requests for it come to the gateway, which sends them on once it is back. */
  async entryPoints(user: SignedIn): Promise<{
    upload: EntryPoint;
    download: EntryPoint;
  }> {
    const ask = (kind: "upload" | "download"): Promise<EntryPoint> =>
      this.entryPoint(kind, user, false).catch((error: unknown) => {
        this.log.warn(`no ${kind} entry`, { error });
        return { entry: "", ticket: "" };
      });
    const [upload, download] = await Promise.all([ask("upload"), ask("download")]);
    return { upload, download };
  }

  /** The origin the client reached the gateway at. */
  originOf(request: FastifyRequest): string {
    return publicOrigin(this.host, request, "apigw");
  }

  setCookie(reply: FastifyReply, token: string, expiresAtMs: number): void {
    reply.setCookie(cookieName, token, { ...this.#cookie(), expires: new Date(expiresAtMs) });
  }

  clearCookie(reply: FastifyReply): void {
    reply.clearCookie(cookieName, this.#cookie());
  }

  #cookie() {
    return { path: "/", httpOnly: true, sameSite: "strict", secure: isSecure(this.host) } as const;
  }
}
