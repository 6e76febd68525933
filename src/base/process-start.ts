import { readFileSync } from "node:fs";

/** Linux: new at each boot of the machine. */
export function bootId(): string | undefined {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return undefined;
  }
}

/** The status file of a process (`"self"`, `123`) or of a thread (`"123/task/124"`), or `undefined` when it cannot be read. */
export function readStat(task: string | number): string | undefined {
  try {
    return readFileSync(`/proc/${task}/stat`, "utf8");
  } catch {
    return undefined;
  }
}

/** When it started, in ticks since boot. `undefined` for a zombie too: it has been killed and only waits to be reaped. */
export function startTicks(stat: string): string | undefined {
  // The second field is the command in parentheses and may itself hold spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
}
