import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { cleanEnv } from "../cli/mprpc.js";
import { canary, expectNoCanary } from "../support/canary.js";
import { Child } from "../tools/child.js";
import { compiled } from "../tools/compiled.js";
import { hasCanary } from "../tools/leaks/secrets.js";
import { guarded } from "../tools/wait.js";

/** A folder for one test, and what puts a secret into a file of it that nobody else may read. */
function makeFolder() {
  const folder = mkdtempSync(path.join(tmpdir(), "mprpc-canary-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const write = (name: string, text: string): string => {
    const file = path.join(folder, name);
    writeFileSync(file, text, { mode: 0o600 });
    return file;
  };
  return { folder, write };
}

/** Every file below a folder. */
function textsOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => path.join(folder, name))
    .filter((file) => statSync(file).isFile())
    .map((file) => `${file}\n${readFileSync(file, "latin1")}`);
}

function start(program: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Child {
  const command = [compiled(program), ...args];
  const child = new Child(process.execPath, command, cleanEnv(env) as NodeJS.ProcessEnv);
  onTestFinished(() => child.kill());
  return child;
}

async function ended(child: Child): Promise<number | null> {
  const { process } = child;
  if (process.exitCode === null)
    await guarded(once(process, "close"), "the process ends", () => child.output);
  return process.exitCode;
}

/** What every user of the machine sees of all processes. */
const processList = (): string => execFileSync("ps", ["-efww"], { encoding: "utf8" });

/** Not as they are written, and not as the bytes that they are. */
function expectNoKeys(keys: readonly string[], texts: readonly string[]): void {
  const written = keys.flatMap((key) => {
    const bytes = Buffer.from(key, "base64");
    return [
      key,
      bytes.toString("hex"),
      bytes.toString("base64").replace(/=+$/, ""),
      bytes.toString("latin1"),
    ];
  });
  for (const text of texts) for (const one of written) expect(text.includes(one)).toBe(false);
}

test("no secret of a provider and its callers is where others could read it", async () => {
  const { folder, write } = makeFolder();
  // A key is base64: the canary itself is one.
  const key = (): string => canary();
  const [shared, other, token, stranger] = [key(), key(), canary(), canary()];
  const env = {
    MPRPC_BROKERPASSWORD: canary(),
    MPRPC_ZOOKEEPER_AUTH: `mprpc:${canary()}`,
  };
  const secrets = {
    provider: write("provider.secrets", `web:${shared}\n`),
    caller: write("caller.secrets", `web:${shared}\n`),
    wrong: write("wrong.secrets", `web:${other}\n`),
  };
  const common = [
    `--registry=file:${path.join(folder, "registry")}`,
    ...["--log.level=debug", `--log.dir=${path.join(folder, "log")}`, "--calltimeout=10s"],
    ...["--tls.mode=required", "--channel.local=off"],
  ];
  const policy = write("authz.conf", "* = secret:web + token:web\n");
  const provider = start(
    "example/callee/src/main.ts",
    [
      ...[...common, "--rpcserverport=0", `--auth.secrets=${secrets.provider}`],
      ...[`--auth.tokens=${write("tokens", `web:${token}\n`)}`, `--auth.policy=${policy}`],
    ],
    env,
  );
  const listening = await provider.line(/^listening on /);
  const call = (secretsOf: string, tokenIs: Readonly<Record<string, string>>, ...more: string[]) =>
    start("example/caller/src/main.ts", [...common, `--auth.secrets=${secretsOf}`, ...more], {
      ...env,
      ...tokenIs,
    });
  const good = call(secrets.caller, {}, `--auth.token=file:${write("token", token)}`);
  const processes = [processList()];
  expect(await ended(good), good.output).toBe(0);
  expect(good.output).toContain("Login zhang san: ok");
  const failing = [
    // Another key of the same name, a token that nobody knows, none, and a registry that is away.
    call(secrets.wrong, { MPRPC_AUTH_TOKEN: token }),
    call(secrets.caller, { MPRPC_AUTH_TOKEN: stranger }),
    call(secrets.caller, {}),
    call(
      secrets.caller,
      { MPRPC_AUTH_TOKEN: token },
      "--registry=zookeeper://127.0.0.1:1",
      "--calltimeout=500ms",
    ),
  ];
  processes.push(processList());
  for (const child of failing) expect(await ended(child), child.output).toBe(1);
  expect(failing[1]?.output).toContain("unauthenticated");
  provider.process.kill("SIGTERM");
  expect(await ended(provider), provider.output).toBe(0);

  const files = [...textsOf(path.join(folder, "log")), ...textsOf(path.join(folder, "registry"))];
  // What is searched is what was meant to be.
  expect(listening).toMatch(/:\d+$/);
  expect(processes.join()).toContain(compiled("example/callee/src/main.ts"));
  expect(files.join()).toContain("denied: ");
  expect(hasCanary(readFileSync(secrets.provider, "utf8"))).toBe(true);
  const texts = [
    ...processes,
    ...files,
    provider.output,
    good.output,
    ...failing.map(({ output }) => output),
  ];
  expectNoCanary(...texts);
  expectNoKeys([shared, other], texts);
}, 120_000);

test("files of secrets that are made are for their owner alone, whatever the umask", async () => {
  const { folder } = makeFolder();
  const modeOf = (name: string): number => statSync(path.join(folder, name)).mode & 0o777;
  const run = (...command: string[]) => execFileSync("sh", ["-c", 'umask 0; exec "$@"', "sh", ...command]);
  // One is there already, and others may read it.
  writeFileSync(path.join(folder, "caller.key"), "old", { mode: 0o644 });
  run(process.execPath, "scripts/make-certificates.mjs", folder);
  expect(["provider.key", "caller.key"].map(modeOf)).toEqual([0o600, 0o600]);
  expect(readFileSync(path.join(folder, "caller.key"), "utf8")).toContain("BEGIN PRIVATE KEY");
  run(process.execPath, compiled("example/clouddisk/src/cli.ts"), "secrets", `--clouddisk.data=${folder}`);
  expect(modeOf("secrets")).toBe(0o600);
}, 120_000);

test("nor are those of the cloud disk's services", async () => {
  const { folder } = makeFolder();
  const cli = "example/clouddisk/src/cli.ts";
  const data = `--clouddisk.data=${folder}`;
  const made = start(cli, ["secrets", data]);
  expect(await ended(made), made.output).toBe(0);
  const file = path.join(folder, "secrets");
  const keys = readFileSync(file, "utf8")
    .trim()
    .split("\n")
    .map((line) => line.split(":")[1] as string);
  expect(keys).toHaveLength(6);
  const env = { MPRPC_CLOUDDISK_SECRET: canary(), MPRPC_ACCOUNT_OPERATORPASSWORD: canary() };
  const run = (name: string, ...more: string[]): Child =>
    start(
      cli,
      [
        ...[name, data, "--rpcserverip=127.0.0.1", "--rpcserverport=0", "--tls.mode=required"],
        ...[`--auth.secrets=${file}`, `--auth.secret=${name}`, "--account.operator=admin"],
        ...["--log.level=debug", `--log.dir=${path.join(folder, "log")}`, ...more],
      ],
      env,
    );
  const services = [run("dbproxy")];
  await services[0]?.line(/^clouddisk ready:/);
  // Its operator is made with the password, in the database behind dbproxy.
  services.push(run("account"));
  await services[1]?.line(/^clouddisk ready:/);
  const processes = processList();
  for (const { process } of services) process.kill("SIGTERM");
  for (const child of services) expect(await ended(child), child.output).toBe(0);
  const files = [...textsOf(path.join(folder, "log")), ...textsOf(path.join(folder, "registry"))];
  expect(files.join()).toContain("DBProxyService");
  const texts = [processes, ...files, made.output, ...services.map(({ output }) => output)];
  expectNoCanary(...texts);
  expectNoKeys(keys, texts);
}, 120_000);
