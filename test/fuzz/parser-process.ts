// Compiles the files that its parent names, one at a time, and says how that ended: a hang is the parent's to notice.
import path from "node:path";
import { CodegenError } from "../../src/codegen/error.js";
import { compileProtos } from "../../src/codegen/proto/compile.js";

export interface Verdict {
  /** `accepted`, `refused`, or the stack of an error that should not be. */
  readonly outcome: string;
  /** Of an accepted file, its descriptor in hexadecimal. */
  readonly descriptor: string;
  /** What was said of a refused file. */
  readonly message: string;
  readonly elapsedMs: number;
}

process.on("message", async ({ file, importPath }: { file: string; importPath: string }) => {
  const begun = performance.now();
  let outcome = "accepted";
  let descriptor = "";
  let message = "";
  try {
    const compiled = await compileProtos([file], { importPaths: [path.dirname(file), importPath] });
    const [input] = compiled.inputs;
    if (input !== undefined) descriptor = compiled.bytesOf(input).toString("hex");
  } catch (error) {
    const known = error instanceof CodegenError;
    outcome = known ? "refused" : String((error as Error).stack);
    message = (error as Error).message;
  }
  const verdict: Verdict = { outcome, descriptor, message, elapsedMs: performance.now() - begun };
  process.send?.(verdict);
});
