import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { formatAddress } from "../../src/base/address.js";
import { systemClock } from "../../src/base/clock.js";
import { RpcError } from "../../src/error/rpc-error.js";
import { Status } from "../../src/error/status.js";
import { RpcProvider } from "../../src/server/provider.js";
import { createRuntime } from "../../src/testing/index.js";
import type { TestApp } from "../../src/testing/runtime.js";
import { tcpTransport } from "../../src/transport/tcp.js";
import { FlowService } from "../support/gen/flow.js";
import { compiled } from "../tools/compiled.js";
import { guarded } from "../tools/wait.js";
import { cleanEnv, mprpc } from "./mprpc.js";

let runtime: TestApp;
let provider: RpcProvider;
let address: string;
/** Resolves when the call of an endless Watch has ended at the provider. */
let left: Promise<void>;
let onLeft: () => void;

beforeEach(() => {
  left = new Promise((resolve) => {
    onLeft = resolve;
  });
});

beforeAll(async () => {
  runtime = createRuntime({ transport: tcpTransport(systemClock) });
  provider = new RpcProvider(runtime).notifyService(FlowService, {
    async *watch({ number }, { signal, replyMetadata, replyTrailers }) {
      replyMetadata.set("first", "1");
      replyTrailers.set("last", "2");
      for (let at = 0; at < number; at++) yield { number: at };
      if (number === 2) throw new RpcError(Status.DATA_LOSS, "torn");
      if (number > 0) return;
      signal.addEventListener("abort", onLeft);
      yield { text: "open" };
      await left;
    },
    async put(requests) {
      let number = 0;
      for await (const request of requests) number += request.number;
      return { number };
    },
    async *chat(requests) {
      for await (const request of requests) {
        yield request;
        if (request.text === "bye") return;
      }
    },
    ask: (request) => request,
  });
  address = formatAddress(await provider.start());
});

afterAll(async () => {
  await provider.shutdown();
  await runtime.close();
});

const item = (number: number, text = "") => `${JSON.stringify({ number, data: "", text })}\n`;

describe("mprpc call, streams", () => {
  test("a stream of replies is a line each; -v tells metadata and trailers", async () => {
    const args = ["call", address, "FlowService.Watch", '{"number": 3}'];
    expect(await mprpc(args)).toEqual({ code: 0, out: item(0) + item(1) + item(2), err: "" });
    expect((await mprpc([...args, "-v"])).err).toBe("  first: 1\n  last: 2\n");
    const fromStdin = await mprpc(["call", address, "FlowService.Watch", "-"], { stdin: '{"number":\n1}' });
    expect(fromStdin).toEqual({ code: 0, out: item(0), err: "" });
  });

  test.each([[["-"]], [[]]])("a stream of requests is read from stdin, one a line: %j", async (last) => {
    const args = ["call", address, "flow.FlowService/Put", ...last];
    const stdin = '{"number": 1}\n\n  \r\n{"number": 40}\n{"number": 2}';
    const reply = { number: 43, data: "", text: "" };
    const { code, out, err } = await mprpc(args, { stdin });
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toBe(`${JSON.stringify(reply, undefined, 2)}\n`);
    expect(JSON.parse((await mprpc(args)).out)).toMatchObject({ number: 0 });
  });

  test("a request that is given is the only one", async () => {
    const put = await mprpc(["call", address, "FlowService.Put", '{"number": 5}'], { stdin: "not read" });
    expect(JSON.parse(put.out)).toMatchObject({ number: 5 });
    const chat = await mprpc(["call", address, "FlowService.Chat", '{"number": 6}']);
    expect(chat).toEqual({ code: 0, out: item(6), err: "" });
  });

  test("both ways: a reply is printed as it comes, and the next request read then", async () => {
    let heard!: () => void;
    const nextHeard = () =>
      new Promise<void>((resolve) => {
        heard = resolve;
      });
    async function* lines() {
      for (const number of [1, 2]) {
        const reply = nextHeard();
        yield `{"number": ${number}}`;
        await reply;
      }
    }
    const chat = await mprpc(["call", address, "FlowService.Chat"], {
      lines: lines(),
      onOut: () => heard(),
    });
    expect(chat).toEqual({ code: 0, out: item(1) + item(2), err: "" });
  });

  test("a line that is no JSON ends the call and names its number, with 2", async () => {
    const stdin = '{"number": 1}\n\n{"number": }\n';
    for (const method of ["Put", "Chat"]) {
      const { code, err } = await mprpc(["call", address, `FlowService.${method}`], { stdin });
      expect(code).toBe(2);
      expect(err).toMatch(/^mprpc call: line 3 of stdin is not JSON: .*\nTry `mprpc call --help`\.\n$/);
    }
    const twice = await mprpc(["call", address, "FlowService.Put"], { stdin: '{"a": 1, "a": 2}' });
    expect(twice.err).toMatch(/^mprpc call: line 1 of stdin: a is given twice/);
  });

  test("a line that is not the message names its number, with 1", async () => {
    const stdin = '\n{"number": 1}\n{"nmber": 1}\n{"number": 2}\n';
    for (const method of ["Put", "Chat"]) {
      const { code, err } = await mprpc(["call", address, `FlowService.${method}`], { stdin });
      expect(code).toBe(1);
      expect(err).toContain('flow.Item has no field "nmber"; did you mean "number"?');
      expect(err).toMatch(/^ {2}request: line 3 of stdin$/m);
    }
  });

  test("a failure comes behind the replies before it, with 1", async () => {
    const { code, out, err } = await mprpc(["call", address, "FlowService.Watch", '{"number": 2}']);
    expect({ code, out }).toEqual({ code: 1, out: item(0) + item(1) });
    expect(err).toMatch(/^\[data_loss\] torn \(flow\.FlowService\.Watch at /);
    expect(err).toMatch(/^ {2}executed: yes$/m);
    const late = await mprpc(["call", address, "FlowService.Watch", "--timeout", "300ms"]);
    expect(late).toMatchObject({ code: 1, out: item(0, "open") });
    expect(late.err).toMatch(/^\[deadline_exceeded\] /);
  });

  test.each([130, 0, 1])("a stop ends the call at the provider and is the exit code: %i", async (wanted) => {
    let stop!: (code: number) => void;
    const { code, out, err } = await mprpc(["call", address, "FlowService.Watch"], {
      onStop: (given) => {
        stop = given;
      },
      onOut: () => stop(wanted),
    });
    expect({ code, out, err }).toEqual({ code: wanted, out: item(0, "open"), err: "" });
    await left;
  });

  test("list tells which sides stream", async () => {
    expect((await mprpc(["list", address])).out).toContain(
      "  Watch(flow.Item) returns (stream flow.Item)\n  Put(stream flow.Item) returns (flow.Item)\n" +
        "  Chat(stream flow.Item) returns (stream flow.Item)\n  Ask(flow.Item) returns (flow.Item)\n",
    );
    const [{ methods }] = JSON.parse((await mprpc(["list", address, "--json"])).out);
    expect(methods[0]).toEqual({
      ...{ name: "Watch", kind: "server_streaming", input: "flow.Item", output: "flow.Item" },
    });
  });
});

describe("mprpc call, streams, as a process", () => {
  /** A process that has printed its first line; its stdin stays open. */
  async function started(method: string, firstRequest = "") {
    const args = [compiled("src/cli/main.ts"), "call", address, `FlowService.${method}`];
    const child = spawn(process.execPath, args, {
      env: cleanEnv() as NodeJS.ProcessEnv,
      stdio: ["pipe", "pipe", "pipe"],
    });
    let err = "";
    child.stderr.on("data", (chunk: Buffer) => {
      err += chunk;
    });
    const closed = once(child, "close");
    child.stdin.write(firstRequest);
    await guarded(once(child.stdout, "data"), `the first reply of ${method}`, () => err);
    const ended = async () => {
      const [code] = (await guarded(closed, `the end of ${method}`, () => err)) as [number | null];
      return { code, err };
    };
    return { child, ended };
  }

  test("Ctrl-C cancels the call and ends with 130", async () => {
    const { child, ended } = await started("Watch", "");
    child.kill("SIGINT");
    expect(await ended()).toEqual({ code: 130, err: "" });
    await left;
  });

  test("a reader of stdout that leaves ends it with 0", async () => {
    const { child, ended } = await started("Chat", '{"number": 1}\n');
    child.stdout.destroy();
    // Written until the pipe is known to be broken.
    child.stdin.on("error", () => {});
    const write = (): void =>
      void child.stdin.write('{"number": 2}\n', (error) => error ?? setImmediate(write));
    write();
    expect(await ended()).toEqual({ code: 0, err: "" });
  });

  test("a provider that ends first ends it, though stdin is still open", async () => {
    const { ended } = await started("Chat", '{"text": "bye"}\n');
    expect(await ended()).toEqual({ code: 0, err: "" });
  });
});
