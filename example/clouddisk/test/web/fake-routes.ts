import type { FakeDisk } from "./fake-disk.js";
import { type Item, listOf } from "./fake-list.js";

export type Json = Record<string, unknown>;
export type Handler = (call: {
  query: URLSearchParams;
  json: Json;
  body: Buffer;
  id: number;
}) => Json | Promise<Json>;

/** Accounts and sessions. */
export function addSession(disk: FakeDisk): void {
  const { routes } = disk;
  const users = new Map<string, string>();
  routes.set("POST /user/signup", ({ json }) => {
    if (users.has(String(json.username))) return { code: 10_003, msg: "taken" };
    if (!disk.signup.open && !(disk.signedIn !== undefined && disk.operator)) {
      return { code: 10_011, msg: "sign-up is closed: ask the operator of the disk ([account] signup)" };
    }
    users.set(String(json.username), String(json.password));
    return { code: 10_000, msg: "signed up" };
  });
  routes.set("GET /api/signup", () => ({ code: 0, ...disk.signup }));
  routes.set("POST /user/signin", ({ json }) => {
    if (users.get(String(json.username)) !== json.password) return { code: 10_004, msg: "wrong" };
    disk.signedIn = String(json.username);
    return { code: 10_000, msg: "signed in" };
  });
  routes.set("POST /api/signout", () => {
    disk.signedIn = undefined;
    return { code: 0 };
  });
  routes.set("GET /api/me", () => {
    const usedBytes = [...disk.entries.values()].reduce((sum, one) => sum + one.sizeBytes, 0);
    return {
      code: 0,
      user: {
        username: disk.signedIn,
        signupAtMs: 0,
        quotaBytes: 10 * 2 ** 30,
        usedBytes,
        operator: disk.operator,
      },
      uploadEntry: "",
      uploadTicket: "",
      downloadEntry: disk.bodiesUrl,
      downloadTicket: "",
    };
  });
  const names = ["account", "apigw", "dbproxy", "download", "transfer", "upload"];
  routes.set("GET /api/services", () => ({
    code: 0,
    services: names.map((name, at) => ({
      service: `clouddisk.${name}`,
      instances: [
        { address: `127.0.0.1:${41_000 + at}`, healthy: true },
        { address: `127.0.0.1:${42_000 + at}`, healthy: at !== 3 },
      ],
    })),
  }));
}

/** Folders, files, the trash. */
export function addFiles(disk: FakeDisk): void {
  const { routes } = disk;
  const change = (id: number, changes: Partial<Item>): Json => {
    const entry = disk.entries.get(id);
    if (entry === undefined) return { code: 10_007, msg: "there is no such file or folder" };
    const after = { ...entry, ...changes };
    const taken =
      after.trashedAtMs === 0 &&
      [...disk.entries.values()].some(
        (one) =>
          one !== entry &&
          one.name === after.name &&
          one.parentId === after.parentId &&
          one.trashedAtMs === 0,
      );
    if (taken) return { code: 10_008, msg: "something of this name is there already" };
    Object.assign(entry, changes);
    return { code: 0, entry };
  };
  routes.set("GET /api/files", ({ query }) => listOf(disk.entries, query));
  routes.set("POST /api/folders", ({ json }) => {
    if (disk.refuseNames.has(String(json.name)))
      return { code: 10_001, msg: "the file name may not contain / or \\" };
    if (disk.lacksFolder(json.parentId)) return { code: 10_007, msg: "no such folder" };
    const found = [...disk.entries.values()].find(
      (one) =>
        one.folder && one.trashedAtMs === 0 && one.name === json.name && one.parentId === json.parentId,
    );
    if (found !== undefined && json.reuse !== true) return { code: 10_008, msg: "exists" };
    return {
      code: 0,
      entry: found ?? disk.add({ name: String(json.name), parentId: Number(json.parentId) }),
    };
  });
  routes.set("PATCH /api/files/:id", ({ id, json }) => change(id, json as Partial<Item>));
  const batches: Record<string, (id: number, json: Json) => Json> = {
    trash: (id) => change(id, { trashedAtMs: Date.now() }),
    restore: (id) => change(id, { trashedAtMs: 0 }),
    move: (id, { parentId }) => change(id, { parentId: Number(parentId) }),
    delete: (id) => (disk.entries.delete(id) ? { code: 0 } : { code: 10_007, msg: "it is not in the trash" }),
  };
  for (const [operation, act] of Object.entries(batches)) {
    routes.set(`POST /api/files/batch/${operation}`, ({ json }) => {
      const ids = json.ids as number[];
      if (ids.length === 0 || ids.length > 1000) return { code: 10_001, msg: "ids must be 1 to 1000" };
      return { code: 0, results: ids.map((id) => ({ id, msg: "ok", ...act(id, json) })) };
    });
  }
  routes.set("DELETE /api/trash", () => {
    const gone = [...disk.entries.values()].filter(({ trashedAtMs }) => trashedAtMs > 0);
    for (const { id } of gone) disk.entries.delete(id);
    return { code: 0, deleted: gone.length, left: 0 };
  });
  routes.set("POST /file/downloadurl", ({ json }) => {
    const entry = disk.entries.get(Number(json.id));
    if (!disk.contents.has(String(json.filehash))) return { code: 10_007, msg: "no such file" };
    const query = new URLSearchParams({
      filehash: String(json.filehash),
      name: entry?.name ?? "",
      inline: String(json.inline ?? 0),
    });
    return { code: 0, url: `/file/download?${query}` };
  });
}
