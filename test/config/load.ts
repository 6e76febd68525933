import {
  type ConfigInput,
  type LoadedConfig,
  loadConfig,
  type NoSections,
  type Sections,
} from "../../src/config/config.js";
import { ConfigError } from "../../src/config/config-error.js";

interface Given<S extends Sections = NoSections> {
  /** What `/node/mprpc.conf` holds; absent: there is no such file. */
  conf?: string | Uint8Array;
  env?: ConfigInput["env"];
  argv?: readonly string[];
  sections?: S;
}

/** Loads with `/node` as the working directory, in which at most one file exists. */
export function load<S extends Sections = NoSections>(given: Given<S> = {}): LoadedConfig<S> {
  const { conf, env = {}, argv = [], sections } = given;
  return loadConfig<S>({
    argv,
    env,
    ...(sections === undefined ? {} : { sections }),
    cwd: "/node",
    readFile: (path) => {
      if (path !== "/node/mprpc.conf" || conf === undefined) {
        throw Object.assign(new Error(`ENOENT: ${path}`), { code: "ENOENT" });
      }
      return typeof conf === "string" ? Buffer.from(conf) : conf;
    },
  });
}

/** The error of a configuration that must not load. */
export function loadError<S extends Sections = NoSections>(given: Given<S>): ConfigError {
  try {
    load(given);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error("it loaded");
}
