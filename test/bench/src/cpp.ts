import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { homedir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

/**
 * The C++ gRPC target: our own program in test/bench/cpp, built with the gRPC that Debian packages, which is either
 * installed or unpacked by scripts/debian-packages.sh into its cache folder.
 */

const folder = (from: string) => fileURLToPath(new URL(from, import.meta.url));
const sourceFolder = folder("../cpp/");
const protoFolder = folder("../");
const outputFolder = folder("../dist/cpp/");
const script = folder("../../../scripts/debian-packages.sh");

/** The built program. */
export const cppProgram = path.join(outputFolder, "grpc-cpp");

/** libgrpc++-dev asks for no headers of protobuf, which the code that its compiler writes includes. */
const packages = ["libgrpc++-dev", "libprotobuf-dev", "protobuf-compiler-grpc", "protobuf-compiler"];

/** Headers that the program includes, itself or through its generated code: without any of them there is no gRPC to build with. */
const headers = ["grpcpp/grpcpp.h", "google/protobuf/message.h"];

/** How to get the packages; needs no root. */
export const fetchCommand = `scripts/debian-packages.sh --with-dependencies ${packages.join(" ")}`;

type Environment = Readonly<Record<string, string | undefined>>;

function onPath(program: string, { PATH = "" }: Environment): string | undefined {
  return PATH.split(path.delimiter)
    .filter((part) => part !== "")
    .map((part) => path.join(part, program))
    .find((file) => existsSync(file));
}

/** Where debian-packages.sh unpacks. */
function unpackedRoot({ MPRPC_TEST_CACHE, XDG_CACHE_HOME }: Environment): string {
  const cache = MPRPC_TEST_CACHE || path.join(XDG_CACHE_HOME || path.join(homedir(), ".cache"), "mprpc-test");
  return path.join(cache, "debian", "root");
}

/** What the build needs of gRPC. */
interface Grpc {
  protoc: string;
  plugin: string;
  compileFlags: string[];
  linkFlags: string[];
  /** For the two programs above, which are linked against libraries of the unpacked folder. */
  libraryPath: string;
}

function installedGrpc(env: Environment): Grpc | undefined {
  const [protoc, plugin] = [onPath("protoc", env), onPath("grpc_cpp_plugin", env)];
  if (protoc === undefined || plugin === undefined) return undefined;
  const include = path.join(path.dirname(path.dirname(plugin)), "include");
  if (!headers.every((header) => existsSync(path.join(include, header)))) return undefined;
  return { protoc, plugin, compileFlags: [], linkFlags: [], libraryPath: "" };
}

/** `lib/x86_64-linux-gnu` and its like: the folder that has the libraries of this machine's kind. */
function libraryFolder(root: string): string | undefined {
  const lib = path.join(root, "usr", "lib");
  if (!existsSync(lib)) return undefined;
  const found = readdirSync(lib).find((name) => existsSync(path.join(lib, name, "libgrpc++.so")));
  return found === undefined ? undefined : path.join(lib, found);
}

function unpackedGrpc(env: Environment): Grpc | undefined {
  const root = unpackedRoot(env);
  const [protoc, plugin] = ["protoc", "grpc_cpp_plugin"].map((name) => path.join(root, "usr", "bin", name));
  const libraries = libraryFolder(root);
  if (protoc === undefined || plugin === undefined || libraries === undefined) return undefined;
  const include = path.join(root, "usr", "include");
  const needed = [protoc, plugin, ...headers.map((header) => path.join(include, header))];
  if (!needed.every((file) => existsSync(file))) return undefined;
  return {
    protoc,
    plugin,
    compileFlags: ["-isystem", include],
    // The old kind of run path counts for the libraries of a library too.
    linkFlags: [
      `-L${libraries}`,
      `-Wl,--disable-new-dtags,-rpath,${libraries}`,
      `-Wl,-rpath-link,${libraries}`,
    ],
    libraryPath: libraries,
  };
}

export interface CppOptions {
  /** Fetch the packages when they are missing. */
  fetch: boolean;
  env: Environment;
  /** Told before what takes a while. */
  log: (text: string) => void;
}

/** Why there is no C++ target; undefined: it is built, and newer than its sources. */
export function prepareCpp(options: CppOptions): string | undefined {
  const { env, fetch, log } = options;
  const compiler = onPath("g++", env);
  if (compiler === undefined) return "g++ is not on the PATH; get it: sudo apt-get install g++";
  let grpc = installedGrpc(env) ?? unpackedGrpc(env);
  if (grpc === undefined && fetch) {
    log(fetchCommand);
    const [, ...args] = fetchCommand.split(" ");
    const { status } = spawnSync(script, args, { stdio: ["ignore", 2, 2], env: { ...env } });
    if (status !== 0) return `${fetchCommand} failed`;
    grpc = installedGrpc(env) ?? unpackedGrpc(env);
  }
  if (grpc === undefined) return `gRPC for C++ is not there; get it: ${fetchCommand}`;
  if (isBuilt()) return undefined;
  log("building the C++ target with g++ -O2");
  return build(compiler, grpc, env);
}

const sourceFiles = () => [
  ...readdirSync(sourceFolder).map((name) => path.join(sourceFolder, name)),
  path.join(protoFolder, "bench.proto"),
];

function isBuilt(): boolean {
  if (!existsSync(cppProgram)) return false;
  const builtMs = statSync(cppProgram).mtimeMs;
  return sourceFiles().every((file) => statSync(file).mtimeMs < builtMs);
}

/** Why the build failed; undefined: it did not. */
function build(compiler: string, grpc: Grpc, env: Environment): string | undefined {
  mkdirSync(outputFolder, { recursive: true });
  const run = (command: string, args: string[], more: Environment = {}): string | undefined => {
    const { status, stderr, error } = spawnSync(command, args, {
      encoding: "utf8",
      env: { ...env, ...more },
    });
    if (status === 0) return undefined;
    const lines = (error?.message ?? stderr).trim().split("\n");
    return `${command} failed: ${lines.find((line) => /error|undefined/i.test(line)) ?? lines[0]}`;
  };
  const toCpp = [
    `-I${sourceFolder}`,
    `-I${protoFolder}`,
    `--cpp_out=${outputFolder}`,
    `--grpc_out=${outputFolder}`,
    `--plugin=protoc-gen-grpc=${grpc.plugin}`,
    path.join(protoFolder, "bench.proto"),
    path.join(sourceFolder, "control.proto"),
  ];
  const generate = () => run(grpc.protoc, toCpp, { LD_LIBRARY_PATH: grpc.libraryPath });
  const compile = () => {
    const sources = readdirSync(sourceFolder).filter((name) => name.endsWith(".cpp"));
    return run(compiler, [
      ...["-std=c++17", "-O2", "-Wall", "-Wextra", `-I${outputFolder}`, `-I${sourceFolder}`],
      ...grpc.compileFlags,
      ...sources.map((name) => path.join(sourceFolder, name)),
      ...["bench.pb.cc", "bench.grpc.pb.cc", "control.pb.cc"].map((name) => path.join(outputFolder, name)),
      ...["-o", cppProgram, ...grpc.linkFlags],
      // gRPC's headers use Abseil, whose libraries are those gRPC itself is linked against.
      ...["-Wl,--copy-dt-needed-entries", "-lgrpc++", "-lgrpc", "-lgpr", "-lprotobuf", "-pthread"],
    ]);
  };
  return generate() ?? compile();
}
