import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  // Generated code imports the package by name; here that is the source, built or not.
  resolve: {
    alias: [
      { find: /^mprpc$/, replacement: fileURLToPath(new URL("./src/index.ts", import.meta.url)) },
      { find: /^mprpc\/codec$/, replacement: fileURLToPath(new URL("./src/codec.ts", import.meta.url)) },
      {
        find: /^mprpc\/testing$/,
        replacement: fileURLToPath(new URL("./src/testing/index.ts", import.meta.url)),
      },
    ],
  },
  test: {
    include: ["test/**/*.test.ts", "example/**/*.test.ts"],
    exclude: ["**/node_modules/**"],
    setupFiles: [fileURLToPath(new URL("./test/tools/strict-setup.ts", import.meta.url))],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // What is polled for comes when the machine gets to it; a second (the default) is less than some of it takes.
    expect: { poll: { timeout: 20_000 } },
    pool: "forks",
    maxWorkers: 2,
  },
});
