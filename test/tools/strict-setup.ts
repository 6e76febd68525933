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
  const complaints = takeComplaints();
  if (complaints.length > 0) throw new Error(`Node complained:\n${complaints.join("\n")}`);
  const leaks = takeLeaks();
  if (leaks.length > 0) throw new Error(`Secrets were seen:\n${leaks.join("\n")}`);
});
