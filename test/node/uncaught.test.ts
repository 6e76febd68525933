import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { ConfigError } from "../../src/config/config-error.js";
import { blameCaller } from "../../src/error/blame-caller.js";
import { MprpcApplication } from "../../src/index.js";
import { startSource } from "../tools/child.js";
import { takeComplaints } from "../tools/complaints.js";
import { guarded } from "../tools/wait.js";

const program = new URL("../support/node-program.ts", import.meta.url);

function folder(): string {
  const made = mkdtempSync(path.join(tmpdir(), "mprpc-uncaught-"));
  onTestFinished(() => rmSync(made, { recursive: true }));
  return made;
}

/** What a node that fails prints, without Node's version at the end. */
async function printed(...args: string[]): Promise<string> {
  const child = startSource(program, ...args);
  onTestFinished(() => child.kill());
  await guarded(once(child.process, "close"), "the node ends", () => child.output);
  expect(child.process.exitCode).toBe(1);
  expect(takeComplaints()).toEqual([expect.stringMatching(/: Node\.js v/)]);
  return child.output.replace(/\n\nNode\.js v.*\n$/, "");
}

/** The line of the program, the text and where the program is: nothing of the library, and nothing else. */
function report(line: RegExp, text: string): RegExp {
  const quoted = text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`^[^\\n]*node-program\\.ts:\\d+\\n${line.source}\\n *\\^\\n+${quoted}\\n    at [^\\n]*$`);
}

const initLine = /const app = await MprpcApplication\.init\(process\.argv\);/;

test("mistakes in the conf print as their texts and the line that called init()", async () => {
  const conf = path.join(folder(), "bad.conf");
  writeFileSync(conf, "rpcserverport=x\ncalltimeout=y\n");
  const output = await printed("-i", conf);
  const texts = output.split("\n").filter((one) => one.includes("bad.conf"));
  expect(texts).toEqual([
    expect.stringMatching(/^ConfigError: .*bad\.conf:1: rpcserverport: expected a port /),
    expect.stringMatching(/^.*bad\.conf:2: calltimeout: expected a duration /),
  ]);
  expect(output).toMatch(report(initLine, texts.join("\n")));
});

test("a conf file that is not there", async () => {
  const output = await printed("-i", "/nowhere/node.conf");
  const text = "ConfigError: -i /nowhere/node.conf: expected a readable conf file, found no such file";
  expect(output).toMatch(report(initLine, text));
});

test("a port that is taken: the log file has it as fatal, the console says it once", async () => {
  const taken = net.createServer().listen(0, "127.0.0.1");
  onTestFinished(() => void taken.close());
  await once(taken, "listening");
  const { port } = taken.address() as net.AddressInfo;
  const output = await printed(
    `--rpcserverport=${port}`,
    `--registry=file:${folder()}`,
    "--log.console=stderr",
  );
  const text = `cannot listen on 127.0.0.1:${port}: EADDRINUSE: the port is taken (rpcserverport; 0 picks a free one)`;
  expect(output.split(text)).toHaveLength(2);
  expect(output).toMatch(/node-program\.ts:\d+\nawait new RpcProvider\(app\)\.run\(\);/);
  expect(output).not.toMatch(/fatal|at .*\/src\/|errno/);
});

test("what went wrong can still be read", async () => {
  const caught = await MprpcApplication.init(["node", "x", "--log.level=loud"], { env: {} }).catch((e) => e);
  expect(caught).toBeInstanceOf(ConfigError);
  expect(caught.problems).toMatchObject([{ key: "log.level" }]);
  expect(Object.keys(caught)).not.toContain("problems");
  expect(caught.stack.split("\n    at ")).toHaveLength(2);
});

test("causes lose their frames too, also when they go round; what is no error is left alone", () => {
  const inner: Error & { code?: string } = Object.assign(new Error("inner"), { code: "EACCES" });
  const outer = new Error("outer", { cause: inner });
  inner.cause = outer;
  expect(blameCaller(outer, () => {})).toBe(outer);
  expect(inner.stack).toBe("Error: inner");
  expect([Object.keys(inner), inner.code]).toEqual([[], "EACCES"]);
  expect(blameCaller("text", () => {})).toBe("text");
});
