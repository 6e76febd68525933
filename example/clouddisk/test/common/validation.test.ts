import os from "node:os";
import path from "node:path";
import fastify from "fastify";
import { expect, test } from "vitest";
import { makeFolder } from "../../src/common/folder.js";
import { sayProblem } from "../../src/common/validation.js";

test("a parameter that the schema does not allow is named, with what it may be", async () => {
  const http = fastify({
    schemaErrorFormatter: sayProblem,
    ajv: { customOptions: { removeAdditional: false } },
  });
  const body = {
    anyOf: [
      {
        type: "object",
        required: ["name"],
        properties: { name: { type: "string", maxLength: 3 } },
        additionalProperties: false,
      },
      {
        type: "object",
        required: ["parentId"],
        properties: { parentId: { type: "integer" } },
        additionalProperties: false,
      },
    ],
  };
  http.post("/one", { schema: { body } }, async () => "ok");
  const sort = { anyOf: [{ const: "name" }, { const: "size" }] };
  const querystring = { type: "object", properties: { sort, limit: { type: "integer", maximum: 5 } } };
  http.get("/list", { schema: { querystring } }, async () => "ok");
  const folder = { type: "object", required: ["name"], properties: { name: { type: "string" } } };
  http.post("/folder", { schema: { body: folder } }, async () => "ok");
  const said = async (method: "GET" | "POST", url: string, payload?: object) =>
    (await http.inject({ method, url, ...(payload && { payload }) })).json().message;
  expect(await said("GET", "/list?sort=foo")).toBe("sort must be one of name, size");
  expect(await said("GET", "/list?limit=6")).toBe("limit must be <= 5");
  expect(await said("POST", "/one", { name: "x", parentId: 0 })).toBe("give only one of parentId, name");
  expect(await said("POST", "/one", {})).toBe("name or parentId is missing");
  expect(await said("POST", "/folder", {})).toBe("name is missing");
  expect(await said("POST", "/folder")).toBe("the body is missing, or no object");
  await http.close();
});

test("a folder where none can be made is told, instead of tried for ever", () => {
  expect(() => makeFolder("/proc/nope/deeper")).toThrow("ENOENT");
  expect(() => makeFolder(path.join(new URL(import.meta.url).pathname, "below"))).toThrow("ENOTDIR");
  makeFolder(os.tmpdir());
});
