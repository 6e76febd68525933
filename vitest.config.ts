import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { SlowFirst } from "./test/tools/slow-first.js";

/** Each of them starts processes, or has the whole of this one to itself: its heap, its signals, its mocked modules. */
const processes = [
  "test/node/**",
  "test/autobuild.test.ts",
  "test/auth/canary.test.ts",
  "test/base/make-folder.test.ts",
  "test/bench*.test.ts",
  "test/broker/{faults,forgotten,load,nats,redis}.test.ts",
  "test/bundle.test.ts",
  "test/call/cost.test.ts",
  "test/grpc/garbage.test.ts",
  "test/cli/cli.test.ts",
  "test/cli/call-stream.test.ts",
  "test/cli/describe.test.ts",
  "test/cli/proto-text.test.ts",
  "test/cli/zookeeper.test.ts",
  "test/codegen/corpora.test.ts",
  "test/codegen/plugin.test.ts",
  "test/codegen/proto/oracle.test.ts",
  "test/conformance/**",
  "test/descriptor/json*.test.ts",
  "test/deployment-doc.test.ts",
  "test/e2e/**",
  "test/example/**",
  "test/faults/**",
  "test/fuzz/*.test.ts",
  // They run the tests of other files, which a process that has run those files before has no more.
  "test/{inproc,unix}/suites.test.ts",
  "test/tls/streams.test.ts",
  "test/logger/**",
  "test/modules.test.ts",
  "test/package.test.ts",
  "test/process/**",
  "test/protocol/http2/peers.test.ts",
  "test/server/process.test.ts",
  "test/server/slow-reader.test.ts",
  "test/readme.test.ts",
  "test/registry/**",
  "test/scale/**",
  "test/soak/**",
  "test/streams/killed.test.ts",
  "test/tools/**",
];

const all = "**/*.test.ts";
const clouddisk = `example/clouddisk/${all}`;
const installed = "**/node_modules/**";

const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  // Generated code imports the package by name; here that is the source, built or not.
  resolve: {
    alias: [
      { find: /^mprpc$/, replacement: file("./src/index.ts") },
      { find: /^mprpc\/broker$/, replacement: file("./src/broker/index.ts") },
      { find: /^mprpc\/codec$/, replacement: file("./src/codec.ts") },
      { find: /^mprpc\/descriptor$/, replacement: file("./src/descriptor/index.ts") },
      { find: /^mprpc\/json$/, replacement: file("./src/json.ts") },
      { find: /^mprpc\/testing$/, replacement: file("./src/testing/index.ts") },
    ],
  },
  test: {
    setupFiles: [file("./test/tools/strict-setup.ts")],
    globalSetup: [file("./test/tools/leaks/run-setup.ts")],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // What is polled for comes when the machine gets to it; a second (the default) is less than some of it takes.
    expect: { poll: { timeout: 20_000 } },
    pool: "forks",
    // Two for each of the two cores this is tuned for: many tests wait, for sessions to end or for processes to start.
    maxWorkers: 4,
    // With `--sequence.shuffle.files` vitest draws lots instead.
    sequence: process.argv.some((one) => one.startsWith("--sequence.shuffle"))
      ? {}
      : { sequencer: SlowFirst },
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: [`test/${all}`, `example/${all}`],
          exclude: [installed, clouddisk, ...processes],
          // Files share a process, and what they import is loaded once.
          isolate: false,
        },
      },
      {
        extends: true,
        test: {
          name: "process",
          globalSetup: [file("./test/tools/shared-setup.ts")],
          include: processes.map((one) => one.replace(/\*\*$/, all)),
          exclude: [installed],
        },
      },
      {
        extends: true,
        test: { name: "clouddisk", include: [clouddisk], exclude: [installed], isolate: false },
      },
    ],
  },
});
