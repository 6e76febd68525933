import { mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { placeFile } from "../../src/common/durable.js";

test("files get their places in a folder that is made for the first of them", async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), "clouddisk-durable-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const place = async (name: string): Promise<string> => {
    const file = path.join(folder, `${name}.new`);
    const target = path.join(folder, "content", "ab", name);
    await writeFile(file, name);
    await placeFile(target, () => rename(file, target));
    return readFile(target, "utf8");
  };
  const names = ["a", "b", "c", "d"];
  expect(await Promise.all(names.map(place))).toEqual(names);
  expect(await place("later")).toBe("later");
});

test("what cannot be placed is an error, with or without its folder", async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), "clouddisk-durable-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const target = path.join(folder, "content", "file");
  const missing = () => rename(path.join(folder, "none"), target);
  await expect(placeFile(target, missing)).rejects.toThrow("ENOENT");
  const taken = path.join(folder, "no-folder");
  await writeFile(taken, "");
  await expect(
    placeFile(path.join(taken, "file"), () => rename(taken, path.join(taken, "file"))),
  ).rejects.toThrow();
});
