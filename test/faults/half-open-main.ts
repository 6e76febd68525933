/**
 * Packets that are dropped, in network namespaces of its own: `unshare -rn node half-open-main.mjs PROGRAM COUNTFILE`. The
 * provider PROGRAM runs in another namespace, at the far end of a pair of virtual Ethernet devices. Prints what a caller sees.
 */
import { execFileSync, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { MprpcApplication, RpcChannel, type RpcError, silentLogger } from "../../src/index.js";
import { ProbeServiceStub } from "../support/gen/probe.js";

const [near, far, nowhere] = ["10.77.0.1", "10.77.0.2", "02:00:00:00:00:99"];
const [, , program = "", countFile = ""] = process.argv;
const keepalive = ["--keepalive.interval=400ms", "--keepalive.timeout=400ms"];

// Not by default: SIGTERM would end it without its exit handlers.
process.once("SIGTERM", () => process.exit(1));
const holder = spawn("unshare", ["-n", "sleep", "600"], { stdio: "ignore" });
process.once("exit", () => holder.kill("SIGKILL"));
const inside = ["-t", String(holder.pid), "-n"];
const ip = (...args: string[]): void => void execFileSync("ip", args);
const ipFar = (...args: string[]): void => void execFileSync("nsenter", [...inside, "ip", ...args]);

/** The far namespace is there when its process has become what it was started as. */
function namespaceIsThere(): boolean {
  const own = execFileSync("readlink", ["/proc/self/ns/net"]).toString();
  return execFileSync("readlink", [`/proc/${holder.pid}/ns/net`]).toString() !== own;
}

while (!namespaceIsThere()) await new Promise((resolve) => setImmediate(resolve));
ip("link", "add", "near", "type", "veth", "peer", "name", "far", "netns", String(holder.pid));
for (const [run, device, address] of [
  [ip, "near", near],
  [ipFar, "far", far],
] as const) {
  run("addr", "add", `${address}/24`, "dev", device);
  run("link", "set", device, "up");
}

const registry = `--registry=static://${far}:7000`;
const args = [program, countFile, `--rpcserverip=${far}`, "--rpcserverport=7000", registry];
const provider = spawn("nsenter", [...inside, process.execPath, ...args, "--log.level=warn", ...keepalive], {
  stdio: ["ignore", "pipe", "inherit"],
});
process.once("exit", () => provider.kill("SIGKILL"));
for await (const line of createInterface(provider.stdout)) if (line.startsWith("listening")) break;

const argv = ["node", "caller", registry, ...keepalive];
const app = await MprpcApplication.init(argv, { log: silentLogger });
const closes: (string | undefined)[] = [];
app.events.on("connectionClose", ({ reason }) => void closes.push(reason));
const stub = new ProbeServiceStub(new RpcChannel(app));
const outcome = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => "ok",
    (error: RpcError) => `${error.codeName} ${error.executed}`,
  );

const before = await outcome(stub.echo({ text: "before" }));
// Frames to an address that no device has: sent, and gone.
ip("neigh", "replace", far, "lladdr", nowhere, "dev", "near", "nud", "permanent");
ipFar("neigh", "replace", near, "lladdr", nowhere, "dev", "far", "nud", "permanent");
const during = await Promise.all([
  outcome(stub.echo({ text: "soon" }, { timeoutMs: 100 })),
  outcome(stub.echo({ text: "patient" }, { timeoutMs: Infinity })),
]);
ip("neigh", "del", far, "dev", "near");
ipFar("neigh", "del", near, "dev", "far");
const after = await outcome(stub.echo({ text: "after" }, { waitForReady: true, timeoutMs: 30_000 }));
const { text } = await stub.relay({ text: "facts" });
const { connections, inFlight } = JSON.parse(text) as { connections: number; inFlight: number };
// Before the result: whoever reads it ends this process at once, by a signal that no exit handler sees.
for (const child of [provider, holder]) {
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await gone;
}
console.log(JSON.stringify({ before, during, after, closes, connections, inFlight }));
process.exit(0);
