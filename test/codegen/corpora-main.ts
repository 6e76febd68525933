// Generates code from all the .proto files of the corpora and compiles it with the strictest flags of two TypeScripts.
//
//   node --import tsx test/codegen/corpora-main.ts [--googleapis | FOLDER...]     FOLDER: .proto files of your own
import path from "node:path";
import { compileCorpus, compilers, type Outcome } from "./corpora.js";
import { corpora, googleapis } from "./proto/protoc.js";

const given = process.argv.slice(2);
const own = given.filter((one) => !one.startsWith("--"));
const chosen = given.includes("--googleapis")
  ? [googleapis]
  : own.length > 0
    ? own.map((folder) => ({ name: folder, folder: path.resolve(folder) }))
    : corpora;
let failed = false;
for (const corpus of chosen) {
  const outcome: Outcome = await compileCorpus(corpus, Object.keys(compilers));
  const { files, megabytes, generateMs, errors } = outcome;
  console.log(
    `${corpus.name}: ${files} files, ${megabytes.toFixed(1)} MB of TypeScript in ${(generateMs / 1000).toFixed(1)} s`,
  );
  for (const [compiler, text] of Object.entries(errors)) {
    const count = text.split("\n").filter((line) => line.includes("error TS")).length;
    console.log(`  TypeScript ${compiler}: ${count} errors${text === "" ? "" : `\n${text.slice(0, 2000)}`}`);
    failed ||= text !== "";
  }
}
if (failed) process.exitCode = 1;
