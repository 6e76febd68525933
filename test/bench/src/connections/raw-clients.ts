import { driveCalls, Meter } from "../meter.js";
import { loopbackAddress } from "../node.js";
import { serveRequests, takeMark } from "../serve.js";
import type { ClientsRequest } from "./protocol.js";
import { RawConnection } from "./raw.js";

/** What `clients.js` is measured beside: the same loops over bare sockets. `raw-clients.js PORT`. */

/** Connections to one address share its ephemeral ports; over so many, nobody runs out of them. */
const addresses = 8;

const [port = ""] = process.argv.slice(2);
const connections: RawConnection[] = [];
let meter = new Meter();
let driving = Promise.resolve();

async function open(count: number): Promise<{ opened: number; elapsedMs: number }> {
  const startMs = performance.now();
  for (let opened = 0; opened < count; opened += 1) {
    const connection = await RawConnection.open(
      loopbackAddress(connections.length % addresses),
      Number(port),
    );
    await connection.call();
    connections.push(connection);
  }
  return { opened: count, elapsedMs: performance.now() - startMs };
}

function start(inFlight: number): null {
  meter = new Meter();
  let at = 0;
  driving = driveCalls(meter, inFlight, () => {
    const connection = connections[at] as RawConnection;
    at = at + 1 === connections.length ? 0 : at + 1;
    return connection.call();
  });
  // A failure is told by `stop`; until then it must not end the process.
  driving.catch(() => {});
  return null;
}

serveRequests<ClientsRequest>("", async (asked) => {
  switch (asked.kind) {
    case "open":
      return open(asked.count);
    case "start":
      return start(asked.inFlight);
    case "mark":
      return takeMark(meter.completed);
    case "stop":
      meter.running = false;
      await driving;
      return { made: meter.completed };
    case "close":
      return null;
    default:
      throw new Error(`a raw echo cannot ${asked.kind}`);
  }
});
