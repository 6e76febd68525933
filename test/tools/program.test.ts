import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { compiled } from "./compiled.js";

const root = fileURLToPath(new URL("../..", import.meta.url));

function start(program: string, args: readonly string[]) {
  return new Promise<{ code: unknown; out: string; err: string }>((resolve) => {
    execFile(
      process.execPath,
      [compiled(`test/${program}/main.ts`), ...args],
      { cwd: root },
      (error, out, err) => resolve({ code: error?.code ?? 0, out, err }),
    );
  });
}

test.each(["fuzz", "faults", "simulation", "soak", "scale"])(
  "%s --help prints its options",
  async (program) => {
    const { code, out, err } = await start(program, ["--help"]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toMatch(/^Usage: /);
  },
  60_000,
);

test.each([
  ["fuzz", ["--seed", "abc"], '--seed takes a whole number of at least 0, not "abc"'],
  [
    "faults",
    ["--wire", "token-ring"],
    '--wire takes mprpc, grpc, framed, varint, le32, be32, not "token-ring"',
  ],
  ["simulation", ["--seeds", "many"], '--seeds takes a whole number of at least 1, not "many"'],
  ["soak", ["--bogus"], "Unknown option '--bogus'"],
  ["soak", ["--seed", "1.5"], '--seed takes a whole number of at least 1, not "1.5"'],
  ["scale", ["--only", "calls,all"], '--only takes connections, calls, services, not "all"'],
])(
  "%s %j is wrong usage, told in one line",
  async (program, args, text) => {
    expect(await start(program, args)).toEqual({
      code: 2,
      out: "",
      err: `${text}; --help tells the options\n`,
    });
  },
  60_000,
);
