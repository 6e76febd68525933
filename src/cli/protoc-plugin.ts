import { buffer } from "node:stream/consumers";
import { runPlugin } from "../codegen/index.js";

// protoc writes the request to stdin and closes it; a person who runs this by hand would wait for ever.
if (process.stdin.isTTY) {
  process.stderr.write(
    "protoc-gen-mprpc is run by protoc (--mprpc_out=DIR) or buf; by hand use `mprpc generate`\n",
  );
  process.exitCode = 2;
} else {
  try {
    process.stdout.write(runPlugin(await buffer(process.stdin)));
  } catch (error) {
    process.stderr.write(`protoc-gen-mprpc: ${error instanceof Error ? error.message : error}\n`);
    process.exitCode = 1;
  }
}
