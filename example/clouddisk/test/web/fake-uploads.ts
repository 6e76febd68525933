import { createHash, randomUUID } from "node:crypto";
import type { FakeDisk } from "./fake-disk.js";
import type { Json } from "./fake-routes.js";

export interface Upload {
  uploadID: string;
  filename: string;
  filehash: string;
  filesize: number;
  parentId: number;
  chunkcount: number;
  chunksize: number;
  parts: Map<number, Buffer>;
}

type Challenges = Map<string, { nonce: string; ranges: Array<{ offset: number; length: number }> }>;

/** Uploads, instant ones too. */
export function addUploads(disk: FakeDisk): void {
  const { routes } = disk;
  const challenges: Challenges = new Map();
  routes.set("POST /file/fastupload", ({ json }) => fastUpload(disk, challenges, json));
  routes.set("POST /file/mpupload/init", ({ json }) => {
    const [filehash, filename] = [String(json.filehash), String(json.filename)];
    const filesize = Number(json.filesize);
    const chunksize = 64 * 1024;
    if (disk.lacksFolder(json.parentid)) return { code: 10_007, msg: "no such folder" };
    const known = [...disk.uploads.values()].find(
      (one) => one.filehash === filehash && one.filename === filename,
    );
    const upload = known ?? {
      ...{ uploadID: randomUUID(), filename, filehash, filesize, parentId: Number(json.parentid) },
      ...{ chunkcount: Math.ceil(filesize / chunksize), chunksize, parts: new Map<number, Buffer>() },
    };
    disk.uploads.set(upload.uploadID, upload);
    return { status: "OK", code: 0, ...view(upload) };
  });
  routes.set("POST /file/mpupload/uppart", async ({ query, body }) => {
    const index = Number(query.get("index"));
    await disk.beforePart(index);
    const refused = disk.refuseParts.shift();
    if (refused !== undefined) return { code: refused, msg: "refused by the test" };
    if (createHash("sha256").update(body).digest("hex") !== query.get("chkhash")) return { code: -2 };
    disk.received.push(index);
    disk.uploads.get(query.get("uploadid") ?? "")?.parts.set(index, body);
    return { code: 0 };
  });
  routes.set("POST /file/mpupload/complete", ({ json }) => {
    const upload = disk.uploads.get(String(json.uploadid));
    if (upload === undefined) return { code: 10_007, msg: "no such upload" };
    const parts = [...upload.parts].sort(([a], [b]) => a - b).map(([, part]) => part);
    if (parts.length < upload.chunkcount) return { code: -2 };
    const body = Buffer.concat(parts);
    const refused = disk.refuseComplete.shift();
    if (refused !== undefined || createHash("sha256").update(body).digest("hex") !== upload.filehash) {
      upload.parts.clear();
      return { code: refused ?? -1 };
    }
    disk.add({ name: upload.filename, parentId: upload.parentId }, body);
    disk.uploads.delete(upload.uploadID);
    return { code: 0 };
  });
  routes.set("POST /file/mpupload/cancel", ({ json }) => {
    disk.uploads.delete(String(json.uploadid));
    return { code: 0 };
  });
  routes.set("GET /api/uploads", () => ({ code: 0, uploads: [...disk.uploads.values()].map(view) }));
}

function fastUpload(disk: FakeDisk, challenges: Challenges, json: Json): Json {
  const content = disk.contents.get(String(json.filehash));
  if (content === undefined) return { code: -1 };
  const challenge = challenges.get(String(json.challengeid));
  if (challenge !== undefined) {
    const hash = createHash("sha256").update(challenge.nonce);
    for (const { offset, length } of challenge.ranges) hash.update(content.subarray(offset, offset + length));
    if (hash.digest("hex") !== json.proof) return { code: -1 };
    disk.add({ name: String(json.filename), parentId: Number(json.parentid) }, content);
    return { code: 0 };
  }
  const id = randomUUID();
  const half = Math.floor(content.length / 2);
  const ranges = [
    { offset: half, length: Math.min(100, content.length - half) },
    { offset: 0, length: Math.min(7, content.length) },
  ];
  challenges.set(id, { nonce: "nonce-é", ranges });
  return { code: -2, data: { challenge: { id, nonce: "nonce-é", ranges } } };
}

function view({ parts, ...upload }: Upload): Json {
  return { ...upload, chunkexists: [...parts.keys()] };
}
