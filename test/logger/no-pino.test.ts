import { expect, test, vi } from "vitest";
import { createLogger } from "../../src/logger/queue-logger.js";
import { readLog, tempDir } from "./support.js";

vi.mock("../../src/logger/load-pino.js", () => ({
  loadPino() {
    throw new Error("pino is not here");
  },
}));

test("a log call does not throw when pino cannot be loaded: the lines are there without their fields", async () => {
  const dir = tempDir();
  const logger = createLogger({ dir, format: "json" });
  logger.info("served", { method: "Login" });
  logger.error("failed", { err: new Error("x") });
  await logger.close();
  const lines = readLog(dir).lines.map((line) => JSON.parse(line));
  expect(lines).toEqual([
    { level: 30, time: expect.any(Number), fieldsError: "pino is not here", msg: "served" },
    { level: 50, time: expect.any(Number), fieldsError: "pino is not here", msg: "failed" },
  ]);
});
