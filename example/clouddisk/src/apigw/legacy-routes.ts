import type { FastifyInstance, FastifyRequest } from "fastify";
import type { Entry } from "../account/gen/account.js";
import { checked } from "../common/answer.js";
import { checkOrigin, tokenOf } from "../common/auth.js";
import { Code, Refusal } from "../common/codes.js";
import { Parameters } from "../common/parameters.js";
import { sessionOf } from "../common/tickets.js";
import type { Gateway } from "./gateway.js";
import { documented } from "./schemas.js";

/** The routes of the course projects that are the gateway's: `/user/*`, `/file/query`, `/file/update`. */
export function addLegacyRoutes(http: FastifyInstance, gateway: Gateway): void {
  addSigning(http, gateway);

  http.post("/user/info", documented.userInfo, async (request) => {
    const { userId } = await gateway.user(request);
    const info = checked(await gateway.users.userInfo({ userId }));
    return {
      code: Code.DONE,
      msg: "ok",
      data: {
        Username: info.username,
        SignupAt: dateTime(info.signupAtMs),
        LastActive: dateTime(info.lastActiveMs),
      },
    };
  });

  http.post("/file/query", documented.fileQuery, async (request) => {
    const { userId, username } = await gateway.user(request);
    const limit = new Parameters(request).integer("limit", { min: 1, max: 1000, fallback: 100 });
    const { files } = checked(await gateway.users.userFiles({ userId, limit }));
    return files.map((file) => toLegacyFile(username, file));
  });

  http.post("/file/update", documented.fileUpdate, async (request) => {
    const { userId, username } = await gateway.user(request);
    const given = new Parameters(request);
    if (given.text("op", "0") !== "0" && given.integer("op", { min: 0, max: 9, fallback: 0 }) !== 0) {
      throw new Refusal(Code.PARAMETER, "op must be 0, which renames");
    }
    const reply = checked(
      await gateway.users.userFileRename({
        userId,
        fileHash: given.text("filehash"),
        newName: given.text("filename"),
        oldName: given.text("oldname", ""),
      }),
    );
    if (reply.file === undefined) throw new Error("account renamed a file and gave none");
    const file = toLegacyFile(username, reply.file);
    return { code: Code.DONE, msg: "ok", ...file, data: file };
  });
}

function addSigning(http: FastifyInstance, gateway: Gateway): void {
  const { requestsPerMinute } = gateway.host.settings.apigw;
  // Hashing a password is dear, and guessing one should be.
  const config = { rateLimit: { max: Math.max(1, Math.floor(requestsPerMinute / 10)) } };

  http.post("/user/signup", { ...documented.signup, config }, async (request) => {
    checkOrigin(request, gateway.host);
    const given = new Parameters(request);
    checked(
      await gateway.users.signup({
        username: given.text("username"),
        password: given.text("password"),
        byUserId: await signedIn(request, gateway),
      }),
    );
    return { code: Code.OK, msg: "signed up" };
  });

  http.post("/user/signin", { ...documented.signin, config }, async (request, reply) => {
    // Another page could sign its visitor in as somebody else, and get what he uploads.
    checkOrigin(request, gateway.host);
    const given = new Parameters(request);
    const signedIn = checked(
      await gateway.users.signin({
        username: given.text("username"),
        password: given.text("password"),
        address: request.ip,
      }),
    );
    const { token, username } = signedIn;
    const { upload, download } = await gateway.entryPoints({
      userId: Number(signedIn.userId),
      username,
      session: sessionOf(token),
    });
    gateway.setCookie(reply, token, Number(signedIn.expiresAtMs));
    const origin = gateway.originOf(request);
    return {
      code: Code.OK,
      msg: "signed in",
      data: {
        Location: "/",
        Username: username,
        Token: token,
        UploadEntry: upload.entry || origin,
        DownloadEntry: download.entry || origin,
      },
    };
  });
}

/** Who makes a user for somebody else; 0: nobody is signed in, as anybody who signs up. */
async function signedIn(request: FastifyRequest, gateway: Gateway): Promise<number> {
  if (tokenOf(request) === undefined) return 0;
  const known = await gateway.user(request).catch((error: unknown) => {
    if (error instanceof Refusal) return undefined;
    throw error;
  });
  return known?.userId ?? 0;
}

function toLegacyFile(username: string, file: Entry) {
  return {
    UserName: username,
    FileHash: file.fileHash,
    FileName: file.name,
    FileSize: Number(file.sizeBytes),
    UploadAt: dateTime(file.createdAtMs),
    LastUpdated: dateTime(file.updatedAtMs),
  };
}

/** As MySQL writes it, in UTC. */
export function dateTime(ms: bigint): string {
  return new Date(Number(ms)).toISOString().slice(0, 19).replace("T", " ");
}
