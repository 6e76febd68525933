import { oneOf, readOptions, wholeNumber } from "../tools/program.js";
import { runLoad } from "./load.js";

const usage = `
Usage: node --import tsx test/broker/load-main.ts [options]

Publishes messages through a real broker while members of the group are killed (kill -9) at random and the server is restarted, and
counts what was lost, what was handled twice, and the dead letters. Exits with 1 when a message was lost or the dead letters are wrong.

  --driver redis|nats     default redis
  --messages N            default 1000000
  --members N             default 3
  --kill-every N          a member is killed after about so many more messages were handled; default 25000
  --restarts N            of the server, default 2
  --forget                nats: each restart finds the files empty that say how far groups have come, as after a kill at the wrong moment
`;

const given = readOptions(usage, {
  driver: { type: "string", default: "redis" },
  messages: { type: "string", default: "1000000" },
  members: { type: "string", default: "3" },
  "kill-every": { type: "string", default: "25000" },
  restarts: { type: "string", default: "2" },
  forget: { type: "boolean", default: false },
});
const report = await runLoad({
  driver: oneOf("driver", given.driver, ["redis", "nats"]),
  messages: wholeNumber("messages", given.messages, 1),
  members: wholeNumber("members", given.members, 1),
  killEvery: wholeNumber("kill-every", given["kill-every"], 1),
  restarts: wholeNumber("restarts", given.restarts),
  forget: given.forget,
  log: (text) => console.error(`${(performance.now() / 1000).toFixed(1)} s: ${text}`),
});
console.log(report);
process.exit(report.lost === 0 && report.deadWrong === 0 ? 0 : 1);
