import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { databases } from "./databases.js";
import { Actions } from "./harness.js";

describe.each(databases)("names that are taken on $name", (database) => {
  let actions: Actions;
  beforeAll(async () => {
    actions = await Actions.open(database);
  });
  afterAll(() => actions.close());

  it.each([
    "100% of_it!.txt",
    "_",
    "%",
    "!",
    "!_%",
    "50%_off !! 'really'.tar",
    "ß_Σ",
    "照".repeat(85),
    "👩‍👩‍👧".repeat(14),
    `${"é".repeat(125)}.txt`,
  ])("numbers them however often: %s", async (name) => {
    const userId = await actions.user();
    const given = [];
    for (let count = 1; count <= 4; count++) given.push((await actions.file(userId, name, `${count}`)).name);
    expect(new Set(given).size).toBe(4);
    expect(given[0]).toBe(name);
    for (const [index, one] of given.slice(1).entries()) {
      expect(one).toContain(` (${index + 1})`);
      expect(Buffer.byteLength(one)).toBeLessThanOrEqual(255);
    }
    // A folder of the name goes to the trash and comes back as the next one.
    const parent = await actions.folder(userId, "parent");
    for (let count = 0; count < 3; count++) {
      const id = await actions.folder(userId, name, parent);
      await actions.run("entry.trash", { userId, id });
      await actions.file(userId, name, `${count}`, parent);
      expect(await actions.run("entry.restore", { userId, id })).toMatchObject({ outcome: "ok" });
      for (const { id: one } of (await actions.list(userId, { parentId: parent })).entries) {
        await actions.run("entry.trash", { userId, id: one });
      }
    }
  });

  it("finds a free number among many", async () => {
    const userId = await actions.user();
    const given = new Set<string>();
    for (let count = 0; count < 60; count++) given.add((await actions.file(userId, "a.b", `${count}`)).name);
    expect(given.size).toBe(60);
  });

  it("does not take a name in other letters for the same", async () => {
    const userId = await actions.user();
    await actions.file(userId, "A_b", "1");
    expect((await actions.file(userId, "a_b", "2")).name).toBe("a_b");
    expect((await actions.file(userId, "axb", "3")).name).toBe("axb");
    expect((await actions.file(userId, "a_b", "4")).name).toBe("a_b (1)");
  });
});
