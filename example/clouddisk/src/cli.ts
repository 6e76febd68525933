// The command `clouddisk` (bin/clouddisk): services of this process, or what the configuration says.
import { existsSync } from "node:fs";
import { conf } from "mprpc";
import { makeFolder } from "./common/folder.js";
import { nodeEnvironment, runNode } from "./common/node.js";
import { type ServiceName, serviceNames } from "./common/part.js";
import { makeSecrets, secretsFile } from "./common/secrets.js";
import { sections } from "./common/sections.js";
import { configuredFolder } from "./common/settings.js";

const defaultFile = "clouddisk.conf";

const usage = `Usage: clouddisk all|SERVICE... [-i FILE] [--key=value]...
       clouddisk config [-i FILE] [--key=value]...
       clouddisk folder [-i FILE] [--key=value]...
       clouddisk secrets [-i FILE] [--key=value]...

  all      all services in this process, with one HTTP port, until SIGTERM, SIGINT or SIGHUP
  SERVICE  these only: ${serviceNames.join(", ")}
  config   print every key, its value, and where that came from; secrets are not shown
  folder   print the data folder
  secrets  make a secret for each service in the file "secrets" of the data folder, unless it is there

Without -i the conf file is ./${defaultFile}, if there is one. CLOUDDISK_DATA names the data folder.
Exit code: 0 done, 1 failed, 2 wrong usage.

`;

/** The command line with the conf file that is used when none is named. */
function withFile(argv: readonly string[]): string[] {
  const end = argv.indexOf("--");
  const own = end === -1 ? argv : argv.slice(0, end);
  const named = own.some((one) => one === "-i" || one.startsWith("-i="));
  return named || !existsSync(defaultFile) ? [...argv] : ["-i", defaultFile, ...argv];
}

/** Undefined for names that are no services. */
function servicesOf(names: readonly string[]): readonly ServiceName[] | undefined {
  if (names.length === 1 && names[0] === "all") return serviceNames;
  const found = serviceNames.filter((name) => names.includes(name));
  return names.length > 0 && names.every((name) => found.some((one) => one === name)) ? found : undefined;
}

const ownCommands = ["config", "folder", "secrets"] as const;
type OwnCommand = (typeof ownCommands)[number];

function runOwn(argv: readonly string[], what: OwnCommand): void {
  const env = nodeEnvironment(process.env);
  const loaded = conf.load({ argv, env, cwd: process.cwd(), sections });
  for (const warning of loaded.warnings) console.error(`clouddisk: warning: ${warning}`);
  if (what === "folder") console.log(configuredFolder(loaded));
  else if (what === "secrets") {
    const folder = configuredFolder(loaded);
    makeFolder(folder);
    makeSecrets(folder);
    console.log(secretsFile(folder));
  } else process.stdout.write(conf.render(loaded, sections));
}

async function main(args: readonly string[]): Promise<void> {
  if (args.includes("--help") || args.includes("-h")) {
    process.stdout.write(usage + conf.usage(sections));
    return;
  }
  const first = args.findIndex((one) => one.startsWith("-"));
  const names = first === -1 ? args : args.slice(0, first);
  const argv = withFile(first === -1 ? [] : args.slice(first));
  const [command] = names;
  const own = ownCommands.find((one) => one === command);
  if (names.length === 1 && own !== undefined) {
    runOwn(argv, own);
    return;
  }
  const services = servicesOf(names);
  if (services === undefined) {
    const what = names.length === 0 ? "name a service" : `unknown: ${names.join(" ")}`;
    console.error(`clouddisk: ${what}; there are all, ${serviceNames.join(", ")}, ${ownCommands.join(", ")}`);
    console.error("Try `clouddisk --help`.");
    process.exitCode = 2;
    return;
  }
  await runNode(services, { argv: ["node", "clouddisk", ...argv] });
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  console.error(`clouddisk: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
