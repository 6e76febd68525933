// Before every test file: a warning of Node in this process, or in one that a test started, fails the file. Rejections
// and exceptions that nobody handles fail the run by themselves.
import { afterAll } from "vitest";
import { takeComplaints, watchThisProcess } from "./complaints.js";

watchThisProcess();

afterAll(async () => {
  // Warnings are told in a turn of their own.
  await new Promise((resolve) => setImmediate(resolve));
  const complaints = takeComplaints();
  if (complaints.length > 0) throw new Error(`Node complained:\n${complaints.join("\n")}`);
});
