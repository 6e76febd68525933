import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build, type Format } from "esbuild";
import { afterAll, beforeAll, expect, test } from "vitest";
import { cleanEnv } from "./cli/mprpc.js";
import { installLib } from "./tools/installed-lib.js";

/** Programs bundled into one file by esbuild, as `docs/bundling.md` says, and run where there is nothing else. */
const run = promisify(execFile);
const root = fileURLToPath(new URL("..", import.meta.url));
let folder: string;
let lib: string;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "mprpc-bundle-"));
  await installLib(folder);
  lib = path.join(folder, "node_modules/mprpc/lib");
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Bundles `source`, runs it in an empty folder and returns what it wrote. */
async function bundled(source: string, format: Format): Promise<{ stdout: string; stderr: string }> {
  const alone = mkdtempSync(path.join(folder, "alone-"));
  const program = path.join(alone, format === "cjs" ? "program.cjs" : "program.mjs");
  const { warnings } = await build({
    stdin: { contents: source, resolveDir: root, loader: "ts" },
    alias: { mprpc: path.join(lib, "index.js"), "mprpc/codec": path.join(lib, "codec.js") },
    nodePaths: [path.join(root, "node_modules")],
    bundle: true,
    platform: "node",
    target: "node20.17",
    format,
    outfile: program,
    logLevel: "silent",
  });
  expect(warnings).toEqual([]);
  expect(readdirSync(alone)).toEqual([path.basename(program)]);
  return run(process.execPath, [program], { cwd: alone, env: cleanEnv() as NodeJS.ProcessEnv });
}

const serveAndCall = `
  import { MprpcApplication, RpcChannel, RpcProvider } from "mprpc";
  import { UserServiceRpc, UserServiceRpcStub } from "./example/callee/src/gen/user.js";
  async function main() {
    const argv = ["node", "program", "--log.format=json", "--log.redact=pwd", "--registry=file:" + process.cwd() + "/registry"];
    const app = await MprpcApplication.init(argv);
    const provider = new RpcProvider(app);
    provider.notifyService(UserServiceRpc, {
      login: ({ name }) => ({ success: name.toString() === "zhang san" }),
      register: () => ({ success: false }),
      uploadAvatar: () => ({ size: 0 }),
    });
    await provider.start();
    app.log.info("a line", { pwd: "secret", err: new Error("told") });
    const channel = new RpcChannel(app);
    const { success } = await new UserServiceRpcStub(channel).login({ name: "zhang san" });
    const json = await channel.callJson("fixbug.UserServiceRpc", "Login", { name: "bm9ib2R5" });
    console.log(JSON.stringify([success, json.success]));
    await channel.close();
    await provider.shutdown();
    await app.close();
  }
  main().catch((error) => { console.error(error); process.exitCode = 1; });
`;

test.each<Format>(["esm", "cjs"])("a bundled program (%s) serves, calls and logs JSON", async (format) => {
  const { stdout, stderr } = await bundled(serveAndCall, format);
  expect(JSON.parse(stdout)).toEqual([true, false]);
  const lines = stderr
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines).toContainEqual(
    expect.objectContaining({
      level: 30,
      msg: "a line",
      pwd: "[Redacted]",
      err: expect.objectContaining({ type: "Error", message: "told" }),
    }),
  );
  // Otherwise the thread that writes is missing, and stderr says so in a line that is no JSON.
  expect(stderr).not.toContain("writer thread");
});

test("a bundled program that loads ZooKeeper's client says what it cannot reach", async () => {
  const source = `
    import { openRegistry } from "mprpc";
    const registry = openRegistry("zookeeper://127.0.0.1:1", { sessionTimeoutMs: 2000 });
    registry.list().then(() => console.log("listed"), (error) => console.log(error.code)).then(() => registry.close());
  `;
  const { stdout, stderr } = await bundled(source, "cjs");
  expect({ stdout, stderr }).toEqual({ stdout: "unreachable\n", stderr: "" });
});
