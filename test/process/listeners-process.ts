// What of ours listens to the process, step by step, one line of JSON each. Argument: a folder for logs and the registry.
import { createLogger, MprpcApplication, RpcChannel, RpcProvider } from "../../src/index.js";
import { createRuntime } from "../../src/testing/index.js";
import { ProbeService, ProbeServiceStub } from "../support/gen/probe.js";

const [folder = ""] = process.argv.slice(2);
const started = new Map(names().map((name) => [name, process.listenerCount(name)]));

function names(): Array<string | symbol> {
  return process.eventNames();
}

function tell(step: string): void {
  const ours = names().filter((name) => process.listenerCount(name) > (started.get(name) ?? 0));
  console.log(JSON.stringify({ step, ours: ours.map(String).sort() }));
}

const handlers = { echo: () => ({}), relay: () => ({}), note: () => ({}) };

// As a library, on parts that the program brings.
const runtime = createRuntime();
const provider = new RpcProvider(runtime).notifyService(ProbeService, handlers);
await provider.start();
const channel = new RpcChannel(runtime);
await new ProbeServiceStub(channel).echo({});
tell("provider and channel");
await channel.close();
await provider.shutdown();
await runtime.close();

const logger = createLogger({ dir: `${folder}/plain` });
logger.info("a line");
tell("a logger");
await logger.close();
tell("closed");

const app = await MprpcApplication.init(["node", "program", `--registry=file:${folder}/registry`]);
app.log.info("a line");
tell("an application");
const serving = new RpcProvider(app).notifyService(ProbeService, handlers);
await serving.run(() => {
  tell("run()");
  void serving.shutdown();
});
tell("run() has ended");
await app.close();
tell("closed");
