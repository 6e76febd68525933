import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import net from "node:net";

/** Files a process has open beside its connections. */
const ownFiles = 64;

/**
 * How many connections one process can have here. Node raises its own soft limit of open files to the hard one when it
 * starts; beyond that only whoever runs the machine can go.
 */
export function connectionsMax(): number {
  const { status, stdout } = spawnSync("sh", ["-c", "ulimit -Hn"], { encoding: "utf8" });
  const text = status === 0 ? stdout.trim() : "unlimited";
  return text === "unlimited" ? Number.POSITIVE_INFINITY : Number(text) - ownFiles;
}

/** What to do about it. */
export function tooManyText(connections: number, most: number): string {
  return `${connections.toLocaleString("en-US")} connections were left out: a process may open ${(most + ownFiles).toLocaleString("en-US")} files here (\`ulimit -Hn\`), and ${(connections + ownFiles).toLocaleString("en-US")} are needed. Raise the hard limit: \`nofile\` in /etc/security/limits.conf and a new login, \`LimitNOFILE=\` of a systemd unit, \`--ulimit nofile=65536:65536\` of docker run; or, as root, \`prlimit --nofile=65536:65536 npm run bench -- connections\`.`;
}

function lowestEphemeralPort(): number {
  try {
    const [low] = readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8").trim().split(/\s+/);
    return Number(low);
  } catch {
    return 32_768;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = net.createServer().once("error", () => resolve(false));
    server.listen(port, "0.0.0.0", () => server.close(() => resolve(true)));
  });
}

/**
 * A free port below those the system gives to callers. While nobody listens on a port of the upper range, a caller that
 * connects to it can be given that very port, and is then connected to itself.
 */
export async function fixedPort(): Promise<number> {
  const lowest = lowestEphemeralPort();
  for (let tries = 0; tries < 100; tries += 1) {
    const port = lowest - 1 - Math.floor(Math.random() * Math.min(10_000, lowest - 1025));
    if (await isFree(port)) return port;
  }
  throw new Error(`no free port below ${lowest}`);
}
