import { text } from "node:stream/consumers";
import { exitCodes } from "./command.js";
import { runCli } from "./run.js";

let unwritten = false;
const stops = new Set<(code: number) => void>();
let linesRead = false;

function stop(code: number): void {
  const listeners = [...stops];
  stops.clear();
  for (const listener of listeners) listener(code);
}

function guard(stream: NodeJS.WriteStream, name: string): void {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    // Whoever reads us may stop early (`mprpc list | head`), which is no error of ours.
    if (error.code === "EPIPE") stop(exitCodes.done);
    if (error.code === "EPIPE" || unwritten) return;
    unwritten = true;
    stop(exitCodes.failed);
    process.exitCode = exitCodes.failed;
    process.stderr.write(`mprpc: cannot write to ${name}: ${error.message}\n`);
  });
}

async function* stdinLines(): AsyncGenerator<string, void> {
  linesRead = true;
  let rest = "";
  for await (const chunk of process.stdin.setEncoding("utf8")) {
    const lines = `${rest}${chunk}`.split("\n");
    rest = lines.pop() as string;
    yield* lines;
  }
  if (rest !== "") yield rest;
}

function onStop(listener: (code: number) => void): () => void {
  const onInterrupt = (): void => stop(exitCodes.interrupted);
  stops.add(listener);
  process.once("SIGINT", onInterrupt);
  return () => {
    stops.delete(listener);
    process.off("SIGINT", onInterrupt);
  };
}

guard(process.stdout, "stdout");
guard(process.stderr, "stderr");

const code = await runCli(process.argv.slice(2), {
  cwd: process.cwd(),
  env: process.env,
  out: (line) => process.stdout.write(line),
  err: (line) => process.stderr.write(line),
  readStdin: () => text(process.stdin),
  stdinLines,
  onStop,
});
// A call may end before its requests do, and then nobody reads the rest.
if (linesRead) process.stdin.destroy();
// Not process.exit(): what was written to a pipe must get out first.
if (!unwritten) process.exitCode = code;
