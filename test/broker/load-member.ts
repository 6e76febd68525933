// A member of a group in a process of its own, to be killed at any moment. It notes each message in a file before the message counts as done,
// and prints how much memory it takes.
import { openSync, writeSync } from "node:fs";
import { Broker } from "../../src/broker/index.js";
import { createRuntime } from "../../src/testing/index.js";
import { isPoison, loadTopic, memberOptions } from "./load-topic.js";

const [url = "", group = "", file = "", delayMs = "0"] = process.argv.slice(2);
const broker = new Broker(createRuntime(), { url });
const notes = openSync(file, "a");
let numbers: number[] = [];
let noted: Promise<void> | undefined;

let notedBefore = 0;

/** Told to whoever counts: this many messages more were noted. */
const toldEvery = 200;

/** All of one turn of the event loop in one write, which the system has when the process is killed. */
function note(number: number): Promise<void> {
  numbers.push(number);
  noted ??= new Promise((resolve) =>
    setImmediate(() => {
      writeSync(notes, Buffer.from(Uint32Array.from(numbers).buffer));
      notedBefore += numbers.length;
      if (notedBefore >= toldEvery) {
        console.log(`noted ${notedBefore}`);
        notedBefore = 0;
      }
      numbers = [];
      noted = undefined;
      resolve();
    }),
  );
  return noted;
}

const slowMs = Number(delayMs);
await broker.subscribe(loadTopic, memberOptions(group, slowMs > 0), async ({ number }) => {
  if (slowMs > 0) {
    await new Promise((resolve) => setTimeout(resolve, slowMs));
    return;
  }
  if (isPoison(number)) throw new Error("poison");
  await note(number);
});
console.log("joined");
if (slowMs > 0) {
  setInterval(() => {
    globalThis.gc?.();
    console.log(`heap ${process.memoryUsage().heapUsed} rss ${process.memoryUsage().rss}`);
  }, 500);
}
