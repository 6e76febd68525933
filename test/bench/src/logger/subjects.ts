import path from "node:path";
import { createLogger } from "mprpc";
import { pino } from "pino";

/** One logger that writes one file. */
export interface Subject {
  info(text: string, fields: Readonly<Record<string, unknown>>): void;
  /** Resolves when what was logged has left the process's own buffers. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

export const subjectNames = [
  "mprpc classic",
  "mprpc json",
  "pino, sync file",
  "pino, async file",
  "pino, worker",
] as const;
export type SubjectName = (typeof subjectNames)[number];

/** The file a subject writes in its folder. */
export const logFile = (folder: string) => path.join(folder, "out.log");

function ours(folder: string, format: "classic" | "json"): Subject {
  // `block`, so that a writer that falls behind shows as time, not as lines that are missing.
  const options = {
    dir: folder,
    file: "out.log",
    maxBytes: 0,
    overflow: "block",
    exitHandlers: true,
  } as const;
  const logger = createLogger({ ...options, format });
  return {
    info: (text, fields) => logger.info(text, fields),
    flush: () => logger.flush(),
    close: () => logger.close(),
  };
}

/** What the destinations of pino have in common. */
interface Destination extends pino.DestinationStream, NodeJS.EventEmitter {
  flush(done: (error?: Error) => void): void;
  end(): void;
}

/** A worker thread of pino does not keep the process alive, not even until it has done what is waited for. */
async function alive(start: (done: (error?: Error) => void) => void): Promise<void> {
  const timer = setInterval(() => {}, 1000);
  try {
    await new Promise<void>((resolve, reject) => start((error) => (error ? reject(error) : resolve())));
  } finally {
    clearInterval(timer);
  }
}

function pinoSubject(destination: Destination): Subject {
  const logger = pino({}, destination);
  return {
    info: (text, fields) => logger.info(fields, text),
    flush: () => alive((done) => destination.flush(done)),
    close: () =>
      alive((done) => {
        destination.once("close", () => done());
        destination.end();
      }),
  };
}

export function openSubject(name: SubjectName, folder: string): Subject {
  const dest = logFile(folder);
  switch (name) {
    case "mprpc classic":
      return ours(folder, "classic");
    case "mprpc json":
      return ours(folder, "json");
    case "pino, sync file":
      return pinoSubject(pino.destination({ dest, sync: true }));
    case "pino, async file":
      return pinoSubject(pino.destination({ dest, sync: false, minLength: 4096 }));
    case "pino, worker":
      return pinoSubject(pino.transport({ target: "pino/file", options: { destination: dest } }));
  }
}

export const lineText = "call served";

/** What the log line of a call has; always of the same length, so that a file's size tells how many lines it holds. */
export const lineFields = (n: number) => ({
  method: "fixbug.UserServiceRpc.Login",
  code: "OK",
  n: 1_000_000 + n,
});
