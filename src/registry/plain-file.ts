import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { reasonOf } from "./errors.js";

/**
 * The text of a plain file of at most `maxBytes`. A symbolic link is refused, since its target is somebody else's
 * file. So is anything but a plain file: opening a pipe would wait for its writer, and reading a device may never end.
 */
export async function readPlainFile(file: string, maxBytes: number): Promise<string> {
  const handle = await openPlain(file);
  try {
    const found = await handle.stat();
    if (!found.isFile()) throw new Error("it is no plain file");
    if (found.size > maxBytes) throw new Error(`it is longer than ${maxBytes} bytes`);
    return await handle.readFile("utf8");
  } finally {
    await handle.close();
  }
}

async function openPlain(file: string) {
  try {
    return await open(file, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ELOOP") throw error;
    throw new Error("it is a symbolic link", { cause: error });
  }
}

/** `text` as JSON. The error quotes none of it: the file may belong to another program. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const [at] = /at position \d+/.exec(reasonOf(error)) ?? [];
    throw new Error(`it is not JSON${at === undefined ? "" : ` (${at})`}`);
  }
}
