import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { compiled } from "../../../../test/tools/compiled.js";
import { openStore } from "../../src/store/index.js";
import { cleanStaging } from "../../src/transfer/clean.js";
import { world } from "./support/world.js";

const root = fileURLToPath(new URL("../../../../", import.meta.url));
const script = new URL("support/killed-worker.ts", import.meta.url);

/** Resolves with the signal it died of. */
async function runKilledWorker(step: string, argv: readonly string[]): Promise<unknown> {
  const { PATH, HOME } = process.env;
  const child = spawn(process.execPath, [compiled(script), step, ...argv], {
    cwd: root,
    env: { PATH, HOME },
    stdio: ["ignore", "ignore", "inherit"],
  });
  const [code, signal] = await once(child, "close");
  return signal ?? code;
}

test.each(["opened", "stored", "done"])(
  "kill -9 of the process at '%s': the next one ends it",
  async (step) => {
    const here = await world();
    const bytes = randomBytes(3_000_000);
    const { fileHash } = await here.upload(bytes);
    expect(await runKilledWorker(step, here.disk.argv())).toBe("SIGKILL");
    expect(here.isStaged(fileHash)).toBe(true);
    const store = await openStore(here.disk.node.settings);
    const { transfer, context, events } = here.started({ store });
    if (step === "done") await cleanStaging(context, new AbortController().signal, 0);
    else await events.find("removed", fileHash);
    expect((await here.content(fileHash))?.state).toBe("stored");
    expect(await store.verify(fileHash, bytes.length)).toBe("good");
    expect(here.isStaged(fileHash)).toBe(false);
    await transfer.stop();
  },
);
