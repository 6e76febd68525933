// Runs `mprpc generate` for every .proto of this repository whose code is committed; .ci/run fails when that changes
// a committed file. Needs lib/ (npm run lib).
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Each row: the files given to the generator, and the committed folder it writes. */
const targets = [
  { protos: ["example/proto/user.proto", "example/proto/friend.proto"], out: "example/callee/src/gen" },
  { protos: ["example/proto/user.proto", "example/proto/friend.proto"], out: "example/caller/src/gen" },
  {
    protos: ["test/bench/bench.proto", "test/bench/codec.proto", "test/bench/streams.proto"],
    out: "test/bench/src/gen",
  },
  { protos: ["example/simulation/shop.proto"], out: "example/simulation/src/gen" },
  {
    protos: [
      "test/support/protos/probe.proto",
      "test/support/protos/twin.proto",
      "test/support/protos/flow.proto",
    ],
    out: "test/support/gen",
  },
  { protos: ["test/cli/protos/kinds.proto"], out: "test/cli/gen" },
  { protos: ["test/grpc/protos/interop.proto"], out: "test/grpc/gen" },
  { protos: ["example/polyglot/proto/weather.proto"], out: "example/polyglot/src/gen" },
  { protos: ["test/protobuf/test.proto"], out: "test/protobuf/gen" },
  { protos: ["test/fuzz/protos/zoo.proto"], out: "test/fuzz/gen" },
  ...["account", "dbproxy", "upload", "download", "transfer", "events"].map((name) => ({
    protos: [`example/clouddisk/proto/${name}.proto`],
    out: `example/clouddisk/src/${name}/gen`,
  })),
];

/** @param {string[]} protos @param {string} out @param {string[]} options */
function generate(protos, out, ...options) {
  const args = [path.join(root, "bin/mprpc"), "generate", ...protos, "--out", out, ...options];
  const { status, error } = spawnSync(process.execPath, args, {
    cwd: root,
    stdio: ["ignore", "ignore", "inherit"],
  });
  if (error) throw error;
  if (status !== 0) throw new Error(`mprpc generate ${protos.join(" ")} failed with exit code ${status}`);
}

/** What the library itself is made of, and where it lies: it cannot import `mprpc/codec` or `mprpc/descriptor`. */
const own = [
  {
    names: ["google/protobuf/descriptor.proto", "google/protobuf/compiler/plugin.proto"],
    out: "src/descriptor/gen",
  },
  {
    names: ["grpc/reflection/v1/reflection.proto", "grpc/reflection/v1alpha/reflection.proto"],
    out: "src/services/gen",
  },
  { names: ["mprpc/options.proto"], from: "proto/include", out: "src/descriptor/gen" },
  { names: ["rpc.proto"], from: "src/registry/etcd", out: "src/registry/etcd/gen" },
];

/** Services need what stubs and handlers are made of as well; their floor is above that of the codec. */
const homes = {
  "src/descriptor/gen": "protobuf/runtime.js",
  "src/services/gen": "codec.js",
  "src/registry/etcd/gen": "codec.js",
};

/** @param {{ names: string[], from?: string, out: keyof typeof homes }} target */
function generateOwn({ names, from = "proto", out }) {
  const folder = mkdtempSync(path.join(tmpdir(), "mprpc-generate-"));
  try {
    generate(
      names.map((name) => `${from}/${name}`),
      folder,
      "-I",
      from,
    );
    for (const name of names) {
      const file = name.replace(/proto$/, "ts");
      const up = "../".repeat(`${out}/${name}`.split("/").length - 2);
      const text = readFileSync(path.join(folder, file), "utf8");
      const target = path.join(root, out, file);
      const descriptors = "src/descriptor/gen/google/protobuf/descriptor.js";
      const toDescriptors = path.posix.relative(path.posix.dirname(`${out}/${name}`), descriptors);
      mkdirSync(path.dirname(target), { recursive: true });
      writeFileSync(
        target,
        text
          .replaceAll('"mprpc/codec"', `"${up}${homes[out]}"`)
          .replaceAll('"mprpc/descriptor"', `"${toDescriptors}"`),
      );
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

try {
  for (const { protos, out } of targets) generate(protos, out);
  for (const one of own) generateOwn(/** @type {any} */ (one));
} catch (error) {
  console.error(`generate: ${error.message}`);
  process.exitCode = 1;
}
