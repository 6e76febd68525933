import { expect, test } from "vitest";
import { runLoad } from "./load.js";

test.each(["redis", "nats"] as const)(
  "%s: of 20,000 messages none is lost while members are killed and the server is restarted twice",
  async (driver) => {
    const report = await runLoad({
      ...{ driver, messages: 20_000, members: 3, killEvery: 5000, restarts: 2, forget: false },
      log: () => {},
    });
    console.info(driver, report);
    expect(report).toMatchObject({
      published: 20_000,
      lost: 0,
      poison: 20,
      deadLetters: 20,
      deadWrong: 0,
      restarts: 2,
    });
    expect(report.deadTwice).toBeLessThanOrEqual(report.failedPublishes);
  },
  280_000,
);
