// `npm run outages -w mprpc-clouddisk -- --away-seconds 20 --clients 6`: the outages of the tests, as long as wanted.
import { parseArgs } from "node:util";
import { runOutages } from "./outages.js";

const { values } = parseArgs({
  options: {
    "away-seconds": { type: "string", default: "20" },
    clients: { type: "string", default: "6" },
    "rest-ms": { type: "string", default: "50" },
  },
});
const report = await runOutages({
  awayMs: Number(values["away-seconds"]) * 1000,
  clients: Number(values.clients),
  restMs: Number(values["rest-ms"]),
  onProgress: (text) => console.log(text),
});
for (const { server, during, after } of report.outages) {
  console.log(
    `\n${server} away: ${during.done} requests done, the slowest ${Math.round(during.slowestMs)} ms`,
  );
  for (const [text, count] of during.refused) console.log(`  ${count} x ${text}`);
  console.log(`${server} back: ${after.done} done, the slowest ${Math.round(after.slowestMs)} ms`);
  for (const [text, count] of after.refused) console.log(`  ${count} x ${text}`);
}
console.log(
  `\n${report.files} files, wrong names: ${report.wrongNames.length}, wrong objects: ${report.wrongObjects.length}`,
);
if (report.wrongNames.length + report.wrongObjects.length > 0) {
  console.log([...report.wrongNames, ...report.wrongObjects].join("\n"));
  process.exitCode = 1;
}
