/** Registers and unregisters without an end, to be killed in the middle: `churn-process.ts <registry url> <port>`. */
import { openRegistry } from "../../src/registry/open.js";
import { registration } from "./conformance.js";

const [url = "", port = ""] = process.argv.slice(2);
const registry = openRegistry(url);
for (let round = 0; ; round++) {
  const handles = await Promise.all(
    [0, 1, 2, 3].map((i) => registry.register(registration(Number(port) + i))),
  );
  if (round === 3) console.info("churning");
  await Promise.all(handles.map((handle) => handle.unregister()));
}
