import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { prepare, runnerCommand, type Way } from "./prepare.js";

const testee = fileURLToPath(new URL("testee.ts", import.meta.url));

/** What the runner says of one of its suites. */
export interface Summary {
  /** The runner's own line. */
  readonly line: string;
  readonly successes: number;
  readonly skipped: number;
  readonly expectedFailures: number;
  readonly unexpectedFailures: number;
}

export interface Outcome {
  /** Binary and JSON. */
  readonly main: Summary;
  /** Text format, which is out of scope: the testee skips all of it. The runner does not get there after failures. */
  readonly textFormat: Summary | undefined;
  /** All the runner wrote. */
  readonly output: string;
}

/** Runs the suite, with no list of expected failures. `folder` keeps what it is made of. */
export async function runConformance(way: Way, folder: string): Promise<Outcome> {
  mkdirSync(folder, { recursive: true });
  await prepare(folder, way);
  const [command = "", ...args] = runnerCommand();
  const options = ["--enforce_recommended", "--maximum_edition", "2023", "--output_dir", folder];
  const program = [process.execPath, "--import", import.meta.resolve("tsx"), testee, way, folder];
  const child = spawn(command, [...args, ...options, ...program], { stdio: ["ignore", "pipe", "pipe"] });
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const output = out + err;
  const [main, textFormat, ...more] = output.match(/^CONFORMANCE SUITE .*$/gm) ?? [];
  if (main === undefined || more.length > 0) {
    throw new Error(`the conformance runner did not end as it should:\n${output.slice(-4000)}`);
  }
  return {
    main: summaryOf(main),
    textFormat: textFormat === undefined ? undefined : summaryOf(textFormat),
    output,
  };
}

/** Whether every test of the binary and the JSON suite was run and passed. */
export function isClean({ main }: Outcome): boolean {
  return main.successes > 0 && main.skipped + main.expectedFailures + main.unexpectedFailures === 0;
}

function summaryOf(line: string): Summary {
  const [successes = 0, skipped = 0, expectedFailures = 0, unexpectedFailures = 0] = (
    line.match(/\d+(?= (?:successes|skipped|expected failures|unexpected failures))/g) ?? []
  ).map(Number);
  return { line, successes, skipped, expectedFailures, unexpectedFailures };
}
