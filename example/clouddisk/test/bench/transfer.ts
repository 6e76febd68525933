import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, stat } from "node:fs/promises";
import http from "node:http";
import { setTimeout as delay } from "node:timers/promises";

const retryEveryMs = 50;

export async function sha256Of(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest("hex");
}

/** A file of bytes that compress to nothing less. */
export async function makeFile(file: string, sizeBytes: number): Promise<void> {
  const { randomBytes } = await import("node:crypto");
  const handle = await open(file, "w");
  for (let written = 0; written < sizeBytes; written += 1 << 22) {
    await handle.write(randomBytes(Math.min(1 << 22, sizeBytes - written)));
  }
  await handle.close();
}

export interface Answer {
  status: number;
  code: number;
  body: Record<string, unknown>;
}

interface Asked {
  headers: Record<string, string>;
  /** Of the file that is sent, both ends included. */
  part?: { file: string; start: number; end: number };
  form?: Record<string, string>;
  onSent?: (bytes: number) => void;
}

/** A request whose body is sent only once the server asks for it; counts the bytes of it. */
function ask(agent: http.Agent, url: string, { headers, part, form, onSent }: Asked): Promise<Answer> {
  const text = form === undefined ? undefined : new URLSearchParams(form).toString();
  const lengthBytes = part === undefined ? Buffer.byteLength(text ?? "") : part.end - part.start + 1;
  const type = part === undefined ? "application/x-www-form-urlencoded" : "application/octet-stream";
  const all: Record<string, string> = {
    ...headers,
    "content-type": type,
    "content-length": String(lengthBytes),
    ...(part === undefined ? {} : { expect: "100-continue" }),
  };
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method: "POST", agent, headers: all });
    request.on("error", reject);
    request.on("response", (reply) => {
      let body = "";
      reply.setEncoding("utf8").on("data", (chunk: string) => {
        body += chunk;
      });
      reply.on("error", reject);
      reply.on("end", () => {
        const parsed = JSON.parse(body) as Answer["body"];
        resolve({ status: reply.statusCode ?? 0, code: Number(parsed.code), body: parsed });
      });
    });
    if (part === undefined) {
      request.end(text);
      return;
    }
    request.on("continue", () => {
      const source = createReadStream(part.file, {
        start: part.start,
        end: part.end,
        highWaterMark: 1 << 18,
      });
      source.on("data", (chunk) => onSent?.(chunk.length));
      source.on("error", reject);
      request.on("close", () => source.destroy());
      source.pipe(request);
    });
    request.flushHeaders();
  });
}

export interface UploadResult {
  fileHash: string;
  /** Bytes of parts given to the socket, those that were lost as well. */
  sentBytes: number;
  elapsedMs: number;
}

export interface UploadOptions {
  headers: Record<string, string>;
  file: string;
  name: string;
  parallel: number;
  onPart?: (done: number, count: number) => void;
}

/** Uploads a file in parallel parts, as a client that does not give up. */
export async function uploadInParts(url: string, options: UploadOptions): Promise<UploadResult> {
  const { headers, file, name, parallel, onPart } = options;
  const agent = new http.Agent({ keepAlive: true, maxSockets: parallel });
  const { size } = await stat(file);
  const fileHash = await sha256Of(file);
  let sentBytes = 0;
  const persistently = async (asked: () => Promise<Answer>): Promise<Answer> => {
    for (;;) {
      try {
        const answer = await asked();
        if (answer.status < 500 && answer.code === 0) return answer;
        if (answer.status < 500 && answer.code !== -2) throw new TypeError(JSON.stringify(answer.body));
      } catch (error) {
        if (error instanceof TypeError) throw error;
      }
      await delay(retryEveryMs);
    }
  };
  const startMs = performance.now();
  const form = { filename: name, filehash: fileHash, filesize: String(size) };
  const post = (route: string, fields: Record<string, string>) =>
    persistently(() => ask(agent, url + route, { headers, form: fields }));
  const { body } = await post("/file/mpupload/init", form);
  const { uploadID, chunksize, chunkcount } = body as {
    uploadID: string;
    chunksize: number;
    chunkcount: number;
  };
  let next = 0;
  let done = 0;
  const sender = async (): Promise<void> => {
    while (next < chunkcount) {
      const index = next++;
      const part = { file, start: index * chunksize, end: Math.min((index + 1) * chunksize, size) - 1 };
      const onSent = (bytes: number): void => {
        sentBytes += bytes;
      };
      const route = `${url}/file/mpupload/uppart?uploadid=${uploadID}&index=${index}`;
      await persistently(() => ask(agent, route, { headers, part, onSent }));
      onPart?.(++done, chunkcount);
    }
  };
  await Promise.all(Array.from({ length: parallel }, sender));
  await post("/file/mpupload/complete", { uploadid: uploadID });
  agent.destroy();
  return { fileHash, sentBytes, elapsedMs: performance.now() - startMs };
}
