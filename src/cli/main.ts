import { text } from "node:stream/consumers";
import { exitCodes } from "./command.js";
import { runCli } from "./run.js";

let unwritten = false;

function guard(stream: NodeJS.WriteStream, name: string): void {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    // Whoever reads us may stop early (`mprpc list | head`), which is no error of ours.
    if (error.code === "EPIPE" || unwritten) return;
    unwritten = true;
    process.exitCode = exitCodes.failed;
    process.stderr.write(`mprpc: cannot write to ${name}: ${error.message}\n`);
  });
}

guard(process.stdout, "stdout");
guard(process.stderr, "stderr");

const code = await runCli(process.argv.slice(2), {
  cwd: process.cwd(),
  env: process.env,
  out: (line) => process.stdout.write(line),
  err: (line) => process.stderr.write(line),
  readStdin: () => text(process.stdin),
});
// Not process.exit(): what was written to a pipe must get out first.
if (!unwritten) process.exitCode = code;
