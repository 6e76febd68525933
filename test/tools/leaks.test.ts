import { execFile } from "node:child_process";
import fs, { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test, vi } from "vitest";
import { takeLeaks } from "./leaks/notes.js";
import { LeakSearch, StreamSearch } from "./leaks/search.js";
import { canary, hasCanary, runMarker } from "./leaks/secrets.js";
import { noteFiles } from "./leaks/watch-process.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const bytesOf = (secret: string): Buffer => Buffer.from(secret, "base64url");

test.each<[string, (secret: string) => string]>([
  ["as it is", (secret) => `{"token":"${secret}"}`],
  ["in base64", (secret) => Buffer.from(`user:${secret}`).toString("base64")],
  ["in base64", (secret) => Buffer.from(`me:${secret}`).toString("base64")],
  ["in base64", (secret) => Buffer.from(`{"jti":"${secret}"}`).toString("base64url")],
  ["in hex", (secret) => Buffer.from(secret).toString("hex")],
  ["its bytes in hex", (secret) => bytesOf(secret).toString("hex")],
  ["its bytes in base64", (secret) => bytesOf(secret).toString("base64")],
])("a secret is found %s", (how, write) => {
  const own = "kJ8/x+Zq0w9vT3nB5mY7cRd2LhGf1sWe";
  const search = new LeakSearch([own]);
  expect(search.find(`before ${write(canary())} behind`)).toBe(how);
  expect(search.find(`before ${write(own)} behind`)).toBeDefined();
  expect(search.find(`before ${write("something-else-that-is-long")} behind`)).toBeUndefined();
});

test("a secret is found in pieces of a stream, whatever they are", () => {
  const text = `${"x".repeat(1000)} ${canary()} ${"y".repeat(1000)}`;
  for (const size of [1, 7, 30, 1010]) {
    const stream = new StreamSearch(new LeakSearch());
    let found = 0;
    for (let at = 0; at < text.length; at += size)
      if (stream.find(Buffer.from(text.slice(at, at + size))) !== undefined) found++;
    expect(found).toBeGreaterThan(0);
  }
});

test("of a long secret its end is searched for: what all of one issuer begin with is none", () => {
  const head = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImsxIn0.".repeat(3);
  const end = "Zq0w9vT3nB5mY7cRd2LhGf1sWeKJ8x".repeat(3);
  const search = new LeakSearch([head + end]);
  expect(search.find(head)).toBeUndefined();
  expect(search.find(head + end)).toBe("as it is");
});

test.each(["readFileSync", "readdirSync", "lstatSync"] as const)(
  "what cannot be looked at in a folder (%s) hides nothing that stands behind it",
  (name) => {
    const folder = mkdtempSync(path.join(tmpdir(), "mprpc-leaks-"));
    const gone = path.join(folder, "1-gone");
    if (name === "readdirSync") mkdirSync(gone);
    else writeFileSync(gone, "");
    const left = path.join(folder, "2-left");
    writeFileSync(left, canary());
    const real = fs[name] as (...given: unknown[]) => unknown;
    // As when it vanishes, or belongs to somebody else: root may look at everything.
    const spy = vi.spyOn(fs, name).mockImplementation((...given: unknown[]): never => {
      if (given[0] === gone) throw Object.assign(new Error("gone"), { code: "EACCES" });
      return real(...given) as never;
    });
    try {
      noteFiles(folder);
    } finally {
      spy.mockRestore();
      // Before the folder is removed, when it is searched again.
      writeFileSync(left, "");
      rmSync(folder, { recursive: true });
    }
    expect(takeLeaks()).toEqual([`${left} (mode 644): a secret of the tests, as it is`]);
  },
);

/** A test file that shows a secret in `leak`, and passes if nobody looks. */
const leaking = (leak: string): string => `
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { test } from "vitest";
import { failure } from ${JSON.stringify(path.join(root, "test/support/async.ts"))};
import { RecordingLog } from ${JSON.stringify(path.join(root, "test/support/log.ts"))};
import { RpcError } from ${JSON.stringify(path.join(root, "src/error/rpc-error.ts"))};
import { canary, looksSoFar, watchSecret } from ${JSON.stringify(path.join(root, "test/tools/leaks/secrets.ts"))};
const env = { ...process.env, SECRET: canary() };
test("leaks", async () => {
  ${leak}
}, 50_000);
`;

const leaks: Readonly<Record<string, string>> = {
  console: `console.log("token", canary());`,
  stderr: `process.stderr.write(Buffer.from(canary()).toString("hex") + "\\n");`,
  watched: `
    const made = watchSecret("kJ8x-Zq0w9vT3nB5mY7cRd2LhGf1sWe");
    console.log("user:" + made, Buffer.from("user:" + made).toString("base64"));`,
  child: `await once(spawn("sh", ["-c", "echo $SECRET >&2"], { env }), "close");`,
  waited: `execFileSync("sh", ["-c", "echo $SECRET"], { env });`,
  flag: `await once(spawn("true", ["--token=" + canary()]), "close");`,
  // It lives until it was seen: the look that is on its way when it begins may miss it, the next one does not.
  grandchild: `
    const child = spawn("sh", ["-c", "sh -c 'echo begun; read end; true' $SECRET"], { env });
    await once(child.stdout, "data");
    const before = looksSoFar();
    while (looksSoFar() < before + 2) await new Promise((resolve) => setTimeout(resolve, 50));
    child.stdin.end();
    await once(child, "close");`,
  file: `
    const folder = mkdtempSync(tmpdir() + "/mprpc-leaks-");
    writeFileSync(folder + "/secret", canary(), { mode: 0o600 });
    writeFileSync(folder + "/readable", canary());
    writeFileSync(folder + "/own.log", canary(), { mode: 0o600 });
    rmSync(folder, { recursive: true });`,
  log: `new RecordingLog().warn("refused", { token: canary() });`,
  error: `await failure(Promise.reject(new RpcError(16, "who is " + canary())));`,
  complained: `
    process.emitWarning("too many of them", "MaxListenersExceededWarning");
    new RecordingLog().warn("refused", { token: canary() });`,
  title: `});\ntest("with " + canary(), () => {`,
  none: `execFileSync("sh", ["-c", "test -n \\"$SECRET\\""], { env });`,
};

/** Runs them as the tests of this repository are run. */
async function run(...names: string[]): Promise<{ code: unknown; output: string; report: string }> {
  mkdirSync(path.join(root, ".cache"), { recursive: true });
  const folder = mkdtempSync(path.join(root, ".cache", "leaks-test-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  for (const name of names) writeFileSync(path.join(folder, `${name}.test.ts`), leaking(leaks[name] ?? ""));
  const config = {
    setupFiles: [path.join(root, "test/tools/strict-setup.ts")],
    globalSetup: [path.join(root, "test/tools/leaks/run-setup.ts")],
    ...{ include: ["*.test.ts"], maxWorkers: 4, isolate: false },
  };
  writeFileSync(path.join(folder, "vitest.config.ts"), `export default { test: ${JSON.stringify(config)} };`);
  const report = path.join(folder, "report.json");
  const args = [path.join(root, "node_modules/vitest/vitest.mjs"), "run", "--root", folder, "--no-color"];
  args.push("--reporter=default", "--reporter=json", `--outputFile.json=${report}`);
  return new Promise((resolve) => {
    execFile(process.execPath, args, (error, out, err) =>
      resolve({ code: error?.code ?? 0, output: `${out}\n${err}`, report: readFileSync(report, "utf8") }),
    );
  });
}

test("a run with a secret in any of its outputs fails, and says where without showing it", async () => {
  const { code, output } = await run(
    ...Object.keys(leaks).filter((name) => !["title", "complained"].includes(name)),
  );
  expect(code, output).toBe(1);
  // It is another run than this one.
  expect(output).not.toContain(runMarker());
  const told = [...output.matchAll(/^.*: a secret of the tests.*$/gm)].map(([line]) => line.trim());
  expect([...new Set(told.map((line) => line.replace(/\/\S+-leaks-\w+/, "FOLDER")))].sort()).toEqual([
    "FOLDER/own.log (mode 600): a secret of the tests, as it is",
    "FOLDER/readable (mode 644): a secret of the tests, as it is",
    'a log line, "refused": a secret of the tests, as it is',
    "argument 1 of true (ps shows it): a secret of the tests, as it is",
    "argument 3 of sh -c (ps shows it): a secret of the tests",
    "stderr of sh -c echo $SECRET >&2: a secret of the tests, as it is",
    "stdout of sh -c echo $SECRET: a secret of the tests, as it is",
    "the error of a call: a secret of the tests, as it is",
    "what the run has printed: a secret of the tests, as it is",
    "what the run has printed: a secret of the tests, in base64",
    "what the run has printed: a secret of the tests, in hex",
  ]);
  expect(told.some((line) => hasCanary(line))).toBe(false);
  expect(output).toMatch(/Test Files +6 failed \| 5 passed \(11\)/);
}, 60_000);

test("what is only printed or reported fails a run whose tests have all passed", async () => {
  const { code, output, report } = await run("title");
  expect(code, output).toBe(1);
  expect(JSON.parse(report)).toMatchObject({ numPassedTests: 2, numFailedTests: 0 });
  expect(output).toMatch(/report\.json: a secret of the tests, as it is/);
}, 60_000);

test("a file that Node complains of tells its leaks as well", async () => {
  const { code, output } = await run("complained");
  expect(code, output).toBe(1);
  expect(output).toMatch(/Node complained:\s+this process: MaxListenersExceededWarning: too many of them/);
  expect(output).toMatch(/Secrets were seen:\s+a log line, "refused": a secret of the tests, as it is/);
}, 60_000);
