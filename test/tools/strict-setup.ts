// Before every test file: a warning of Node in this process, or in one that a test started, fails the file, and so does a
// secret of a test where others could read it. Rejections and exceptions that nobody handles fail the run by themselves.
import { afterAll } from "vitest";
import { takeComplaints, watchThisProcess } from "./complaints.js";
import { takeLeaks } from "./leaks/notes.js";
import { watchForLeaks } from "./leaks/watch-process.js";

watchThisProcess();
watchForLeaks();

afterAll(async () => {
  // Warnings are told in a turn of their own.
  await new Promise((resolve) => setImmediate(resolve));
  // Both are taken before either is told: what is left would be told by the next file of this process, or by none.
  const [complaints, leaks] = [takeComplaints(), takeLeaks()];
  const told: string[] = [];
  if (complaints.length > 0) told.push("Node complained:", ...complaints);
  if (leaks.length > 0) told.push("Secrets were seen:", ...leaks);
  if (told.length > 0) throw new Error(told.join("\n"));
});
