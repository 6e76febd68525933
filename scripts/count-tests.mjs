// The end of .ci/run: `N passed, N failed`, counted from vitest's JSON reports, and before it each failure by name,
// since of a long run often only the last lines are kept.
// usage: node scripts/count-tests.mjs FOLDER REPORT...
import { readFileSync } from "node:fs";
import { join, relative } from "node:path";

const shownFailures = 20;
const shownMessageLines = 4;

const [folder, ...names] = process.argv.slice(2);
if (folder === undefined || names.length === 0) {
  console.error("usage: node scripts/count-tests.mjs FOLDER REPORT...");
  process.exit(2);
}

/** The failures of a file of tests. One that fails outside its tests (it does not load, its beforeAll fails) is one. */
function failuresOf(file) {
  const tests = file.assertionResults.filter((test) => test.status === "failed");
  if (tests.length > 0)
    return tests.map((test) => ({ title: test.fullName, message: test.failureMessages.join("\n") }));
  return file.status === "failed" ? [{ title: "outside of its tests", message: file.message }] : [];
}

let passed = 0;
const failures = [];
for (const name of names) {
  try {
    const report = JSON.parse(readFileSync(join(folder, `${name}.json`), "utf8"));
    passed += report.numPassedTests;
    for (const file of report.testResults) {
      const path = relative(process.cwd(), file.name);
      for (const failure of failuresOf(file)) failures.push({ ...failure, place: `${name}: ${path}` });
    }
  } catch (error) {
    // Without a report the tests did not run, which is a failure.
    failures.push({ place: name, title: "no report", message: String(error) });
  }
}
for (const { place, title, message } of failures.slice(0, shownFailures)) {
  console.log(`== failed: ${place} > ${title}`);
  for (const line of message.split("\n", shownMessageLines)) console.log(`   ${line.slice(0, 200)}`);
}
console.log(`${passed} passed, ${failures.length} failed`);
