import { lineFields, lineText, openSubject, type SubjectName } from "./subjects.js";

/** `child NAME FOLDER END COUNT`: logs COUNT lines in one turn and ends at once, in the way END says. */

const [, , name = "", folder = "", end = "", count = "0"] = process.argv;

const subject = openSubject(name as SubjectName, folder);
// As in a server that has run for a while, the first line is written before the rest are logged.
subject.info("ready", {});
await subject.flush();
for (let n = 0; n < Number(count); n += 1) subject.info(lineText, lineFields(n));

switch (end) {
  case "process.exit()":
    process.exit(0);
    break;
  case "uncaught exception":
    throw new Error("thrown on purpose");
  case "SIGTERM":
    // Without this the process could end by itself before the signal is there.
    setInterval(() => {}, 1000);
    process.kill(process.pid, "SIGTERM");
}
