// Compares our descriptors of all of googleapis with protoc's, byte for byte, and says how fast both are.
//
//   node --import tsx test/codegen/proto/oracle-main.ts [FOLDER]     FOLDER instead of npm's google-proto-files
import { statSync } from "node:fs";
import path from "node:path";
import { compileProtos } from "../../../src/codegen/proto/compile.js";
import { type Corpus, filesOf, googleapis, runProtoc } from "./protoc.js";

const [given] = process.argv.slice(2);
const corpus: Corpus = given === undefined ? googleapis : { name: given, folder: path.resolve(given) };
const names = filesOf(corpus);
const paths = names.map((name) => path.join(corpus.folder, name));
const megabytes = paths.reduce((all, file) => all + statSync(file).size, 0) / 1e6;
const rate = (ms: number): string =>
  `${(ms / 1000).toFixed(1)} s, ${((1000 * megabytes) / ms).toFixed(1)} MB/s`;

const protoc = runProtoc(corpus.folder, names);
console.log(`${corpus.name}: ${names.length} files, ${megabytes.toFixed(1)} MB`);
console.log(`protoc: ${rate(protoc.elapsedMs)} ${protoc.errors}`);
const begun = performance.now();
const ours = await compileProtos(paths, { importPaths: [corpus.folder] });
console.log(`ours: ${rate(performance.now() - begun)}`);
const different = ours.files.filter((file) => {
  const bytes = protoc.files.get(file.name ?? "");
  return bytes === undefined || !ours.bytesOf(file).equals(bytes);
});
for (const { name } of different) console.log(`differs: ${name}`);
console.log(`${ours.files.length - different.length} files are the same, ${different.length} differ`);
if (different.length > 0 || protoc.status !== 0) process.exitCode = 1;
