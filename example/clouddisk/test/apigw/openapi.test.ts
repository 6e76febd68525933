import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";
import openapiTS, { astToString } from "openapi-typescript";
import { expect, onTestFinished, test } from "vitest";
import { type Disk, startDisk } from "../support/disk.js";

const root = fileURLToPath(new URL("../../../../", import.meta.url));

interface Document {
  paths: Record<string, Record<string, { operationId?: string; security?: unknown; responses: object }>>;
}

async function documentOf(disk: Disk): Promise<{ folder: string; file: string; document: Document }> {
  const folder = await mkdtemp(path.join(os.tmpdir(), "clouddisk-openapi-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const text = await (await fetch(`${disk.url}/openapi.json`)).text();
  const file = path.join(folder, "openapi.json");
  await writeFile(file, text);
  return { folder, file, document: JSON.parse(text) as Document };
}

test("the document of all services is complete, and redocly finds no error in it", async () => {
  const { folder, file, document } = await documentOf(await startDisk());
  const operations = Object.entries(document.paths).flatMap(([route, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ name: `${method} ${route}`, ...operation })),
  );
  const of = (name: string) => operations.find((one) => one.name === name);
  for (const base of ["/file/mpupload", "/file/mupload"]) {
    for (const step of [
      "post init",
      "post uppart",
      "post complete",
      "get complete",
      "post cancel",
      "get status",
    ]) {
      expect(of(step.replace(" ", ` ${base}/`)), step).toBeDefined();
    }
  }
  for (const name of [
    "post /file/upload",
    "post /file/fastupload",
    "get /file/download",
    "post /file/downloadurl",
    "get /api/uploads",
  ]) {
    expect(of(name), name).toBeDefined();
  }
  expect(operations.filter((one) => one.security === undefined || one.operationId === undefined)).toEqual([]);
  expect(operations.filter((one) => !Object.keys(one.responses).includes("200"))).toEqual([]);
  const redocly = path.join(root, "node_modules/@redocly/cli/bin/cli.js");
  const env = { ...process.env, REDOCLY_TELEMETRY: "off", REDOCLY_SUPPRESS_UPDATE_NOTICE: "true" };
  const { stdout } = await promisify(execFile)(process.execPath, [redocly, "lint", "--format=json", file], {
    env,
    cwd: folder,
  });
  const { totals, problems } = JSON.parse(stdout) as { totals: { errors: number }; problems: object[] };
  expect(problems).toEqual([]);
  expect(totals.errors).toBe(0);
});

/** A program of a user of the disk: its types come from the document, and it sends through openapi-fetch. */
const program = `
import createClient from "openapi-fetch";
import type { paths } from "./disk.js";

export async function roundTrip(baseUrl: string, token: string, name: string, bytes: Uint8Array<ArrayBuffer>, filehash: string) {
  const client = createClient<paths>({ baseUrl, headers: { authorization: \`Bearer \${token}\` } });
  const init = await client.POST("/file/mpupload/init", { body: { filename: name, filehash, filesize: bytes.length } });
  if (init.data === undefined) throw new Error(init.error.msg);
  const { uploadID: uploadid, chunkcount, chunksize } = init.data;
  for (let index = 0; index < chunkcount; index++) {
    const part = await client.POST("/file/mpupload/uppart", {
      params: { query: { uploadid, index } },
      headers: { "content-type": "application/octet-stream" },
      body: "",
      bodySerializer: () => bytes.slice(index * chunksize, (index + 1) * chunksize),
    });
    if (part.data?.code !== 0) throw new Error("a part was not taken");
  }
  const done = await client.POST("/file/mpupload/complete", { params: { query: { uploadid } } });
  const listed = await client.GET("/api/files", { params: { query: { q: name } } });
  const got = await client.GET("/file/download", { params: { query: { filehash } }, parseAs: "arrayBuffer" });
  const missing = await client.GET("/file/download", { params: { query: { filehash: "0".repeat(64) } } });
  return {
    id: done.data?.data?.id,
    listed: listed.data?.entries.map((entry) => entry.id),
    bytes: got.data as unknown as ArrayBuffer,
    missing: missing.error?.code,
  };
}
`;

test("a client generated from it uploads a file in parts, and downloads it", async () => {
  const disk = await startDisk({ conf: { "upload.part": "64KiB" } });
  const { folder, file } = await documentOf(disk);
  await writeFile(path.join(folder, "disk.ts"), astToString(await openapiTS(pathToFileURL(file))));
  await writeFile(path.join(folder, "client.ts"), program);
  const compiler = {
    strict: true,
    noEmit: true,
    module: "esnext",
    moduleResolution: "bundler",
    target: "es2023",
    lib: ["es2023", "dom", "dom.iterable"],
    types: [],
    skipLibCheck: true,
  };
  await symlink(path.join(root, "node_modules"), path.join(folder, "node_modules"));
  await writeFile(path.join(folder, "package.json"), '{ "type": "module" }');
  await writeFile(
    path.join(folder, "tsconfig.json"),
    JSON.stringify({ compilerOptions: compiler, files: ["client.ts"] }),
  );
  const tsc = path.join(root, "node_modules/typescript/bin/tsc");
  // What the document says of parameters, bodies and replies is what the program is checked against.
  await promisify(execFile)(process.execPath, [tsc, "-p", folder]).catch((error: { stdout?: string }) => {
    throw new Error(error.stdout);
  });
  const outfile = path.join(folder, "client.mjs");
  await build({
    entryPoints: [path.join(folder, "client.ts")],
    bundle: true,
    format: "esm",
    platform: "node",
    outfile,
    logLevel: "silent",
  });
  expect((await readFile(outfile, "utf8")).length).toBeGreaterThan(1000);
  const { roundTrip } = (await import(pathToFileURL(outfile).href)) as {
    roundTrip(
      ...parameters: unknown[]
    ): Promise<{ id: number; listed: number[]; bytes: ArrayBuffer; missing: number }>;
  };
  const user = await disk.user();
  const bytes = new Uint8Array(randomBytes(150_000));
  const filehash = createHash("sha256").update(bytes).digest("hex");
  const result = await roundTrip(disk.url, user.token, "generated.bin", bytes, filehash);
  expect(result.id).toBeGreaterThan(0);
  expect(result.listed).toEqual([result.id]);
  expect(Buffer.from(result.bytes).equals(Buffer.from(bytes))).toBe(true);
  expect(result.missing).toBe(10_007);
});
