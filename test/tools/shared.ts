import { once } from "node:events";
import { createServer, get } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { inject } from "vitest";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  interface ProvidedContext {
    /** Where the process of the test runner is asked for what test files share. */
    sharedUrl: string;
  }
}

/** Something that is dear to start and that many test files can use at once. */
export interface Shared {
  /** How a test file finds it: what JSON can hold. */
  found: unknown;
  close(): Promise<unknown>;
}

/**
 * For a global setup: lets test files have what `starters` start. Each is started when it is first asked for, and ends
 * with the run. Gives what ends them.
 */
export async function share(
  project: TestProject,
  starters: Readonly<Record<string, () => Promise<Shared>>>,
): Promise<() => Promise<void>> {
  const started = new Map<string, Promise<Shared>>();
  const server = createServer(async ({ url = "" }, response) => {
    const name = url.slice(1);
    try {
      const starter = starters[name];
      if (starter === undefined) throw new Error(`nothing shared is called ${name}`);
      const starting = started.get(name) ?? starter();
      started.set(name, starting);
      response.end(JSON.stringify((await starting).found));
    } catch (error) {
      response.writeHead(500).end(String(error));
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  project.provide("sharedUrl", `http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  return async () => {
    server.close();
    for (const starting of await Promise.allSettled(started.values()))
      if (starting.status === "fulfilled") await starting.value.close();
  };
}

/** In a test file: how to find what is shared under this name. */
export async function findShared<T>(name: string): Promise<T> {
  // No agent: a connection that is kept would be one more resource of this process, and some tests count them.
  const request = get(inject("sharedUrl") + name, { agent: false });
  const [response] = await once(request, "response");
  const body = await text(response);
  if (response.statusCode !== 200) throw new Error(`${name} did not start: ${body}`);
  return JSON.parse(body) as T;
}
