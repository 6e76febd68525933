export interface Flag {
  readonly name: string;
  /** Absent when there is no `=`. */
  readonly text: string | undefined;
  /** What stands behind a flag without `=`, and so was most likely meant as its value. */
  readonly next?: string;
}

/** What a command line says, before anybody knows the keys. */
export interface Arguments {
  /** Each `-i`, in order. */
  readonly files: readonly string[];
  /** Each `--name=value`, in order. */
  readonly flags: readonly Flag[];
  /** What follows `--`: the program's own. */
  readonly rest: readonly string[];
  readonly problems: ReadonlyArray<{
    readonly where: string;
    readonly expected: string;
    readonly found: string;
  }>;
}

/** Reads `-i FILE`, `-i=FILE` and `--name=value`, up to `--`. Pure, and never throws. */
export function parseArguments(argv: readonly string[]): Arguments {
  const files: string[] = [];
  const flags: Flag[] = [];
  const problems: Array<{ where: string; expected: string; found: string }> = [];
  const end = argv.indexOf("--");
  const own = end === -1 ? argv : argv.slice(0, end);
  for (let i = 0; i < own.length; i++) {
    const argument = own[i] ?? "";
    if (argument === "-i" || argument.startsWith("-i=")) {
      const file = argument === "-i" ? own[++i] : argument.slice(3);
      if (file === undefined || file === "")
        problems.push({ where: "-i", expected: "a conf file", found: "nothing" });
      else files.push(file);
      continue;
    }
    const match = /^--([^=]+)(?:=(.*))?$/s.exec(argument);
    if (match === null) problems.push({ where: "command line", ...misplaced(argument) });
    else {
      const [, name = "", text] = match;
      const next = own[i + 1];
      if (text !== undefined || next === undefined || next.startsWith("-")) flags.push({ name, text });
      else {
        flags.push({ name, text, next });
        i++;
      }
    }
  }
  return { files, flags, rest: end === -1 ? [] : argv.slice(end + 1), problems };
}

/** What stands after a `=` may be a secret and is not repeated. */
function misplaced(argument: string): { expected: string; found: string } {
  const [shown = ""] = argument.split("=", 1);
  return {
    expected: '-i FILE, --key=value, or "--" before the program\'s own arguments',
    found: JSON.stringify(shown.slice(0, 80)),
  };
}
