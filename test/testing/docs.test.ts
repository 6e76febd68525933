import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));

test("the code of docs/testing.md is that of the example, which runs as a test", () => {
  const example = path.join(root, "example/simulation");
  const sources = ["src", "test"]
    .flatMap((folder) =>
      readdirSync(path.join(example, folder)).map((name) => path.join(example, folder, name)),
    )
    .filter((file) => file.endsWith(".ts"))
    .map((file) => readFileSync(file, "utf8"));
  const document = readFileSync(path.join(root, "docs/testing.md"), "utf8");
  const blocks = [...document.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, text]) => text as string);
  expect(blocks.length).toBeGreaterThan(1);
  for (const block of blocks)
    expect(
      sources.some((source) => source.includes(block)),
      block,
    ).toBe(true);
});
