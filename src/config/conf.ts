import { loadConfig } from "./config.js";
import {
  choice,
  directory,
  duration,
  host,
  integer,
  list,
  optional,
  port,
  size,
  text,
  yesNo,
} from "./kinds.js";
import { ownKey } from "./own-sections.js";
import { renderConfig, usage } from "./render.js";

/**
 * What a program's own sections are made of: `conf.key(kind, default)`, the kinds of values, and what tools of the
 * program do with a configuration: load it without an application, print it, print the flags.
 */
export const conf = {
  key: ownKey,
  duration,
  size,
  integer,
  port,
  choice,
  yesNo,
  list,
  text,
  directory,
  host,
  optional,
  load: loadConfig,
  render: renderConfig,
  usage,
} as const;
