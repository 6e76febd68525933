import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { MessageType, TopicDefinition } from "mprpc/codec";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Broker } from "../../src/broker/index.js";
import { generate } from "../../src/codegen/index.js";
import { silentLogger } from "../../src/log/logger.js";
import { createRuntime } from "../../src/testing/index.js";
import { Recorder } from "../tools/wait.js";
import { type Generated, generateAndImport, protoFolder } from "./generated.js";

interface Order {
  id: string;
  cents: bigint;
}

const folder = path.join(protoFolder, "topics");
let generated: Generated;
let drafts: string;

beforeAll(async () => {
  drafts = await mkdtemp(path.join(tmpdir(), "mprpc-topics-"));
  generated = await generateAndImport([
    path.join(folder, "orders.proto"),
    path.join(folder, "edition.proto"),
  ]);
});

afterAll(() => Promise.all([generated.remove(), rm(drafts, { recursive: true, force: true })]));

/** The text of the error that generating these files gives, its paths cut short. */
async function problemsOf(files: Record<string, string>): Promise<string> {
  const here = await mkdtemp(path.join(drafts, "case-"));
  const names: string[] = [];
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(here, name);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, text);
    names.push(file);
  }
  const error = await generate(names, { importPaths: [here] }).then(
    () => new Error("no error"),
    (thrown: Error) => thrown,
  );
  return error.message.replaceAll(`${here}/`, "").replaceAll(`${path.relative(process.cwd(), here)}/`, "");
}

const head = 'syntax = "proto3";\npackage p;\nimport "mprpc/options.proto";\n';

describe("a message with a topic", () => {
  test("has a definition, which publishes and subscribes", async () => {
    const { OrderCreatedTopic$: topic } = generated.module("orders.ts") as {
      OrderCreatedTopic$: TopicDefinition<Order, Partial<Order>>;
    };
    expect(topic.name).toBe("orders.created");
    expect(topic.message).toBe(generated.type("OrderCreated"));
    await using app = createRuntime({ log: silentLogger });
    await using broker = new Broker(app);
    const seen = new Recorder<Order>();
    await broker.subscribe(topic, { group: "billing" }, (order) => seen.push(order));
    await broker.publish(topic, { id: "42", cents: 995n });
    expect(await seen.until("the order", () => true)).toMatchObject({ id: "42", cents: 995n });
  });

  test("that is nested, or of a file of edition 2024 that imports the option alone, has one as well", () => {
    const { OrderCreated_LineTopic: nested } = generated.module("orders.ts") as Record<
      string,
      TopicDefinition
    >;
    expect(nested).toEqual({ name: "orders.lines-of_each", message: generated.type("OrderCreated_Line") });
    const { ShippedTopic: modern } = generated.module("edition.ts") as Record<string, TopicDefinition>;
    expect(modern).toEqual({ name: "orders.shipped", message: generated.type("Shipped") });
  });

  test("leaves its name to a message that is called so", () => {
    const own = generated.module("orders.ts").OrderCreatedTopic as MessageType;
    expect(own.typeName).toBe("shop.OrderCreatedTopic");
  });

  test("is documented, typed, and deprecated as the message is", () => {
    const text = generated.files.find(({ path: name }) => name === "orders.ts")?.content;
    expect(text).toContain(
      "/** The topic orders.created of {@link OrderCreated}, to publish to and to subscribe to. */",
    );
    expect(text).toContain(
      "export const OrderCreatedTopic$: TopicDefinition<OrderCreated, OrderCreatedInput> =",
    );
    expect(text).toMatch(
      /The topic orders\.lines-of_each of [^\n]*\n \* @deprecated\n \*\/\nexport const OrderCreated_LineTopic:/,
    );
  });

  test("needs no file of ours beside the .proto: options.proto is the library's, unless there is one", async () => {
    const own = `${head}message A { option (mprpc.topic) = "a"; }`;
    const other = `syntax = "proto3";\npackage mprpc;\nimport "google/protobuf/descriptor.proto";\nextend google.protobuf.MessageOptions { optional string subject = 190429017; }`;
    expect(await problemsOf({ "a.proto": own })).toBe("no error");
    expect(await problemsOf({ "a.proto": own, "mprpc/options.proto": other })).toBe(
      "a.proto:4:20: there is no mprpc.topic: mprpc has no topic",
    );
  });
});

describe("an option of somebody else", () => {
  test("with the number of ours is no topic", async () => {
    const text = `syntax = "proto3";
package other;
import "google/protobuf/descriptor.proto";
extend google.protobuf.MessageOptions { optional string note = 190429017; }
message Noted { option (note) = "not a topic!"; }`;
    expect(await problemsOf({ "a.proto": text })).toBe("no error");
  });
});

describe("what is refused", () => {
  test.each([
    ["an empty name", '""', '""'],
    ["a blank", '"orders created"', '"orders created"'],
    ["an empty part", '"orders..created"', '"orders..created"'],
    ["a pattern", '"orders.*"', '"orders.*"'],
    ["a name too long", `"${"a".repeat(201)}"`, `"${"a".repeat(150)}`],
  ])("%s, at its line", async (_what, written, shown) => {
    const text = `${head}\nmessage A {\n  option (mprpc.topic) = ${written};\n}\n`;
    const problem = await problemsOf({ "deep/a.proto": text });
    expect(problem).toContain(
      "deep/a.proto:6:3: option (mprpc.topic) takes a name as orders.created, of at most 200",
    );
    expect(problem).toContain(`not ${shown}`);
  });

  test("two messages with one topic, in whatever files, each at its line", async () => {
    const one = `${head}message A { option (mprpc.topic) = "a.b"; }\nmessage B { option (mprpc.topic) = "a.b"; }`;
    const two = `${head}import "one.proto";\nmessage C {\n  option (mprpc.topic) = "a.b";\n  A a = 1;\n}`;
    expect(await problemsOf({ "one.proto": one, "two.proto": two })).toBe(
      [
        "one.proto:5:13: option (mprpc.topic) is wrong: a.b is the topic of p.A already",
        "two.proto:6:3: option (mprpc.topic) is wrong: a.b is the topic of p.A already",
      ].join("\n"),
    );
  });

  test("an option that nothing imports", async () => {
    const text = 'syntax = "proto3";\nmessage A { option (mprpc.topic) = "a"; }';
    expect(await problemsOf({ "a.proto": text })).toMatch(/^a\.proto:2:\d+: /);
  });
});
