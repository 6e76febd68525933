import { expect, test } from "vitest";
import { serverNames } from "../support/production.js";
import { runOutages } from "./outages.js";

test("ZooKeeper, MariaDB, Redis and Swift killed in turn under load: clear errors, recovery, nothing lost or twice", {
  timeout: 240_000,
}, async () => {
  const report = await runOutages({ awayMs: 2000, clients: 3, restMs: 100 });
  expect(report.before.refused).toEqual(new Map());
  expect(report.outages.map(({ server }) => server)).toEqual(serverNames);
  for (const { server, during, after } of report.outages) {
    // The registry is asked for news only: without it calls go on.
    if (server === "ZooKeeper") expect([...during.refused.keys()]).toEqual([]);
    for (const text of [...during.refused.keys(), ...after.refused.keys()]) {
      expect(text).toMatch(/^503 10002 .*try again|^200 -2 .*(ask|send it) again/);
    }
    expect(after.done).toBeGreaterThan(0);
  }
  expect(report.files).toBeGreaterThan(3);
  expect([report.wrongNames, report.wrongObjects]).toEqual([[], []]);
});
