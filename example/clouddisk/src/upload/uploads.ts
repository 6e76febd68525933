import { randomBytes } from "node:crypto";
import { mkdir, open } from "node:fs/promises";
import { Code, Refusal } from "../common/codes.js";
import { nodeUrl } from "../common/nodes.js";
import type { UploadRow } from "../dbproxy/actions.js";
import { type Completed, Completer, elsewhere, removeParts } from "./complete.js";
import type { UploadContext } from "./context.js";
import { UploadNews } from "./news.js";
import { type IncomingPart, receivePart } from "./receive.js";
import { noFolder, tooLarge } from "./refusals.js";
import { checkRoom } from "./room.js";

/** More parts than this make the parts bigger. */
const partsMax = 10_000;

export interface NewUpload {
  userId: number;
  parentId: number;
  name: string;
  fileHash: string;
  sizeBytes: number;
}

/** An upload and the parts of it that are there. */
export interface UploadStatus {
  upload: UploadRow;
  present: number[];
}

/** Uploads in parts: begun, filled in any order, completed or given up. All throw Refusal, and OnNode when the parts are on another node. */
export class Uploads {
  readonly #context: UploadContext;
  readonly #completer: Completer;
  readonly #news: UploadNews;

  constructor(context: UploadContext) {
    this.#context = context;
    this.#completer = new Completer(context);
    this.#news = new UploadNews(context);
  }

  /** The user's open upload of this content, if there is one: its parts need not be sent again. */
  async begin(file: NewUpload): Promise<UploadStatus> {
    const { database, settings } = this.#context.host;
    const { userId, fileHash, sizeBytes } = file;
    if (sizeBytes > settings.upload.fileMaxBytes) throw tooLarge(settings.upload.fileMaxBytes);
    // Under another name it is another upload: what was asked for is what will be there.
    const same = { fileHash, sizeBytes, name: file.name, parentId: file.parentId };
    const { uploads: known } = await database.run("upload.open", { userId, file: same, limit: 100 });
    const here = known.find((one) => one.node === settings.node);
    if (here !== undefined) return this.#goOn(here);
    for (const one of known) {
      // Of one whose node is away nothing can be had: it is begun anew.
      if ((await nodeUrl(this.#context.host, one.node, "upload")) !== undefined) throw elsewhere(one);
    }
    await checkRoom(this.#context, sizeBytes);
    let { partBytes } = settings.upload;
    while (Math.ceil(sizeBytes / partBytes) > partsMax) partBytes *= 2;
    const id = randomBytes(16).toString("hex");
    await this.#makeParts(id);
    try {
      await this.#create(id, file, partBytes);
    } catch (error) {
      // Otherwise nobody knows whether the database has it: then the file may be needed, and else is the cleaner's.
      if (error instanceof Refusal) await removeParts(this.#context, id);
      throw error;
    }
    return this.status(userId, id);
  }

  async #goOn(upload: UploadRow): Promise<UploadStatus> {
    const status = await this.#statusOf(upload);
    // With parts recorded and no file a complete has renamed it, and can be asked for.
    if (status.present.length === 0) await this.#makeParts(upload.id);
    return status;
  }

  async #makeParts(id: string): Promise<void> {
    const { staging } = this.#context;
    await mkdir(staging.partsFolder, { recursive: true, mode: 0o700 });
    await (await open(staging.parts(id), "a", 0o600)).close();
  }

  async #create(
    id: string,
    { userId, parentId, name, fileHash, sizeBytes }: NewUpload,
    partBytes: number,
  ): Promise<void> {
    const { database, settings } = this.#context.host;
    const { outcome, quotaBytes, usedBytes } = await database.run("upload.create", {
      id,
      userId,
      parentId,
      name,
      fileHash,
      sizeBytes,
      partBytes,
      partCount: Math.ceil(sizeBytes / partBytes),
      node: settings.node,
      openMax: settings.upload.openMax,
    });
    if (outcome === "too_many") {
      const { openMax } = settings.upload;
      const text = `you have ${openMax} uploads open; complete or cancel some ([upload] openmax)`;
      throw new Refusal(Code.CONFLICT, text);
    }
    if (outcome === "no_parent") throw noFolder(parentId);
    if (outcome === "quota") {
      const text = `${sizeBytes} bytes exceed your quota of ${quotaBytes}: ${usedBytes} are used, besides open uploads ([account] quota)`;
      throw new Refusal(Code.QUOTA, text);
    }
  }

  async find(userId: number, id: string): Promise<UploadRow> {
    const { upload } = await this.#context.host.database.run("upload.get", { id, userId });
    if (upload === null) throw new Refusal(Code.NOT_FOUND, "you have no such upload");
    return upload;
  }

  async status(userId: number, id: string): Promise<UploadStatus> {
    return this.#statusOf(await this.find(userId, id));
  }

  async #statusOf(upload: UploadRow): Promise<UploadStatus> {
    if (upload.state === "done")
      return { upload, present: Array.from({ length: upload.partCount }, (_, index) => index) };
    const { parts } = await this.#context.progress.list(upload.id);
    return { upload, present: [...parts.keys()].sort((one, other) => one - other) };
  }

  /** The user's open ones, for a page that was loaded afresh. */
  async open(userId: number): Promise<UploadStatus[]> {
    const { uploads } = await this.#context.host.database.run("upload.open", { userId, limit: 1000 });
    return Promise.all(uploads.map((upload) => this.#statusOf(upload)));
  }

  async receive(userId: number, id: string, part: IncomingPart): Promise<void> {
    const upload = await this.find(userId, id);
    if (part.index < 0 || part.index >= upload.partCount) {
      throw new Refusal(
        Code.PARAMETER,
        `index ${part.index} is not one of the ${upload.partCount} parts, which count from 0`,
      );
    }
    if (upload.node !== this.#context.host.settings.node) throw elsewhere(upload);
    if (upload.state !== "open") throw new Refusal(Code.CONFLICT, `the upload is ${upload.state}`);
    await checkRoom(this.#context, 0);
    await receivePart(this.#context, upload, part);
    this.#news.arrived(upload);
  }

  complete(userId: number, id: string): Promise<Completed> {
    return this.#completer.complete(userId, id);
  }

  async cancel(userId: number, id: string): Promise<void> {
    const { outcome } = await this.#context.host.database.run("upload.cancel", { id, userId });
    if (outcome === "not_found") throw new Refusal(Code.NOT_FOUND, "you have no such upload");
    if (outcome === "busy") throw new Refusal(Code.CONFLICT, "the upload is being completed");
    if (outcome === "ok") return removeParts(this.#context, id);
    const { state } = await this.find(userId, id);
    if (state === "done") throw new Refusal(Code.CONFLICT, "the upload is done; delete the file instead");
  }
}
