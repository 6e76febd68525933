import type { Disk, User } from "../support/disk.js";

/** Status and JSON of a reply. */
export async function at(
  disk: Disk,
  path: string,
  init: RequestInit,
): Promise<{ status: number; body: unknown }> {
  const reply = await fetch(disk.url + path, init);
  return { status: reply.status, body: await reply.json() };
}

/** As the web page asks: JSON, with the token of `user`. */
export function api(
  disk: Disk,
  user: User,
): (
  method: string,
  path: string,
  body?: object,
) => Promise<{ status: number; body: Record<string, unknown> }> {
  return async (method, path, body) => {
    const reply = await fetch(disk.url + path, {
      method,
      headers: { ...user.headers, ...(body === undefined ? {} : { "content-type": "application/json" }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: reply.status, body: (await reply.json()) as Record<string, unknown> };
  };
}

/** The entry of a file whose bytes nobody asks for. */
export async function addFile(
  disk: Disk,
  user: User,
  file: { name: string; fileHash: string; sizeBytes: number; parentId?: number },
): Promise<number> {
  const { database } = disk.node.host;
  const found = await database.run("user.find", { username: user.name });
  const added = await database.run("upload.whole", {
    userId: found.user?.id ?? 0,
    parentId: 0,
    node: "test",
    onConflict: "rename",
    ...file,
  });
  if (added.outcome !== "ok") throw new Error(`no file: ${added.outcome}`);
  return added.entry.id;
}
