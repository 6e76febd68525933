import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { makeFolder, makeFolderSync } from "../../src/base/make-folder.js";
import { startScript } from "../tools/child.js";

function tempFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "mprpc-make-folder-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

const kinds: [string, (folder: string, mode?: number) => Promise<void>][] = [
  ["makeFolder", makeFolder],
  ["makeFolderSync", async (folder, mode) => makeFolderSync(folder, mode)],
];

describe.each(kinds)("%s", (_, make) => {
  test("makes the folder and its parents with the mode, and is content with what is there", async () => {
    const root = tempFolder();
    const folder = join(root, "a", "b", "c");
    await make(folder, 0o700);
    writeFileSync(join(folder, "kept"), "");
    await make(folder, 0o700);
    expect(readdirSync(folder)).toEqual(["kept"]);
    for (const path of [folder, join(root, "a")]) expect(statSync(path).mode & 0o777).toBe(0o700);
    await make("/");
    await make(".");
  });

  test("a link to a folder is one; a relative path and a slash at the end are taken", async () => {
    const root = tempFolder();
    mkdirSync(join(root, "real"));
    symlinkSync("real", join(root, "link"));
    await make(join(root, "link"));
    await make(`${join(root, "link", "x")}/`);
    expect(readdirSync(join(root, "real"))).toEqual(["x"]);
  });

  test("a file or a dangling link in the way is named", async () => {
    const root = tempFolder();
    const file = join(root, "file");
    writeFileSync(file, "");
    await expect(make(file)).rejects.toThrow(`EEXIST: file already exists, mkdir '${file}'`);
    await expect(make(join(file, "x"))).rejects.toThrow(
      `ENOTDIR: not a directory, mkdir '${join(file, "x")}'`,
    );
    const link = join(root, "link");
    symlinkSync("nowhere", link);
    await expect(make(join(link, "x"))).rejects.toThrow(`EEXIST: file already exists, mkdir '${link}'`);
  });
});

test("where the system makes no folders each that needs one says so instead of spinning", async () => {
  const place = "/proc/self";
  const child = startScript(new URL("folder-process.ts", import.meta.url), place);
  try {
    await child.line(/^done$/);
  } finally {
    await child.kill();
  }
  const refused = "ENOENT: no such file or directory, mkdir";
  const lines = child.output.split("\n");
  for (const name of ["sync", "async", "registry", "generated", "logger", "snapshots"]) {
    const line = lines.find((text) => text.startsWith(`${name}: `));
    expect(line).toContain(`${refused} '${place}/${name}'`);
  }
});
