import { describe, expect, test } from "vitest";
import { load, loadError } from "./load.js";

describe("the command line", () => {
  test("what follows -- is the program's", () => {
    const { values, rest } = load({ argv: ["--log.level=warn", "--", "--log.level=debug", "-i", "--", "x"] });
    expect(values.log.level).toBe("warn");
    expect(rest).toEqual(["--log.level=debug", "-i", "--", "x"]);
  });

  test("a value may hold = and spaces", () => {
    const { values } = load({ argv: ["--registry=file:/tmp/a=b", "--log.dir= my logs "] });
    expect(values.registry).toBe("file:/tmp/a=b");
    expect(values.log.dir).toBe("my logs");
  });

  test.each([
    [
      ["--log.levle=debug"],
      'command line: expected a known key (flags of the program\'s own come after "--"), found "--log.levle"; did you mean "--log.level"?',
    ],
    [
      ["--verbose"],
      'command line: expected a known key (flags of the program\'s own come after "--"), found "--verbose"',
    ],
    [
      ["--__proto__=1"],
      'command line: expected a known key (flags of the program\'s own come after "--"), found "--__proto__"',
    ],
    [
      ["--log.level"],
      "--log.level: expected --log.level=trace|debug|info|warn|error|fatal|silent, found no value",
    ],
    [
      ["--rpcserverport", "8000"],
      '--rpcserverport: expected --rpcserverport=8000, found a space in the place of "="',
    ],
    [
      ["--registry", "zookeeper://me:secret@h:1"],
      '--registry: expected --registry=zookeeper://***@h:1, found a space in the place of "="',
    ],
    [
      ["--zookeeper.auth", "me:secret"],
      '--zookeeper.auth: expected --zookeeper.auth=USER:PASSWORD, found a space in the place of "="',
    ],
    [["--log.dir", "a\nb"], '--log.dir: expected --log.dir=DIR, found a space in the place of "="'],
    [
      ["--rpcserverprot", "8000"],
      'command line: expected a known key (flags of the program\'s own come after "--"), found "--rpcserverprot"; did you mean "--rpcserverport"?',
    ],
    [["-i"], "-i: expected a conf file, found nothing"],
    [["-i="], "-i: expected a conf file, found nothing"],
    [["-i", "a", "-i", "b"], '-i: expected one conf file, found "a" and "b"'],
    [
      ["mprpc.conf"],
      'command line: expected -i FILE, --key=value, or "--" before the program\'s own arguments, found "mprpc.conf"',
    ],
    [
      ["-x"],
      'command line: expected -i FILE, --key=value, or "--" before the program\'s own arguments, found "-x"',
    ],
    [
      [""],
      'command line: expected -i FILE, --key=value, or "--" before the program\'s own arguments, found ""',
    ],
  ])("%j is refused", (argv, message) => {
    expect(loadError({ argv }).message).toBe(message);
  });
});
