import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import https from "node:https";
import os from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { debianPackages } from "../../../../test/tools/debian.js";
import { freePort } from "../../../../test/tools/zookeeper.js";
import { type Disk, password, startDisk } from "../support/disk.js";
import { findProgram, startProgram } from "../support/programs.js";

let folder: string;
beforeAll(() => {
  debianPackages("--with-dependencies", "nginx", "haproxy");
  folder = mkdtempSync(path.join(os.tmpdir(), "clouddisk-proxies-"));
  const { status, stderr } = spawnSync(
    "openssl",
    "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost -keyout key.pem -out cert.pem".split(
      " ",
    ),
    { cwd: folder, encoding: "utf8" },
  );
  if (status !== 0) throw new Error(stderr);
  writeFileSync(
    path.join(folder, "both.pem"),
    readFileSync(path.join(folder, "cert.pem"), "utf8") + readFileSync(path.join(folder, "key.pem"), "utf8"),
  );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Starts a TLS proxy in front of `target`, which ends with the test; gives its port. */
type StartProxy = (target: string) => Promise<number>;

const nginx: StartProxy = async (target) => {
  const port = await freePort();
  const temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path ${folder}/${name};`)
    .join(" ");
  writeFileSync(
    path.join(folder, "nginx.conf"),
    `daemon off; master_process off; pid ${folder}/nginx.pid; error_log stderr notice;
events {}
http {
  access_log off; ${temp}
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate ${folder}/cert.pem; ssl_certificate_key ${folder}/key.pem;
    location / {
      proxy_pass ${target};
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $http_host;
    }
  }
}
`,
  );
  const started = startProgram(findProgram("nginx"), [
    "-c",
    `${folder}/nginx.conf`,
    "-p",
    folder,
    "-e",
    "stderr",
  ]);
  onTestFinished(() => started.kill());
  await started.line(/start worker|using the .* event method/);
  return port;
};

const haproxy: StartProxy = async (target) => {
  const port = await freePort();
  writeFileSync(
    path.join(folder, "haproxy.cfg"),
    `defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend tls
  bind 127.0.0.1:${port} ssl crt ${folder}/both.pem
  option forwardfor
  http-request set-header X-Forwarded-Proto https
  default_backend disk
backend disk
  server one ${target.replace("http://", "")}
`,
  );
  const started = startProgram(findProgram("haproxy"), ["-V", "-db", "-f", `${folder}/haproxy.cfg`]);
  onTestFinished(() => started.kill());
  await started.line(/Loading success|New worker|Using epoll|ready/i);
  return port;
};

interface Reply {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: string;
}

/** As a browser that reaches the proxy as `host`. */
function ask(port: number, route: string, headers: Record<string, string>, body?: string): Promise<Reply> {
  const options = { port, host: "127.0.0.1", path: route, rejectUnauthorized: false, agent: false };
  return new Promise((resolve, reject) => {
    const request = https.request(
      { ...options, method: body === undefined ? "GET" : "POST", headers },
      (reply) => {
        text(reply).then(
          (answer) => resolve({ status: reply.statusCode ?? 0, headers: reply.headers, body: answer }),
          reject,
        );
      },
    );
    request.on("error", reject).end(body);
  });
}

async function downloadUrl(
  disk: Disk,
  port: number,
  more: Record<string, string> = {},
): Promise<Reply & { url: URL }> {
  const user = await disk.user();
  const bytes = new TextEncoder().encode("behind a proxy");
  await fetch(`${disk.url}/file/upload?filename=a.txt`, {
    method: "POST",
    headers: user.headers,
    body: bytes,
  });
  const filehash = createHash("sha256").update(bytes).digest("hex");
  const headers = { ...user.headers, "content-type": "application/json", host: "disk.example.com", ...more };
  const reply = await ask(port, "/file/downloadurl", headers, JSON.stringify({ filehash }));
  return { ...reply, url: new URL((JSON.parse(reply.body) as { url: string }).url) };
}

describe.each([
  ["nginx", nginx],
  ["haproxy", haproxy],
])("behind %s with TLS", (_name, start) => {
  test("with apigw.publicurl a download URL is one of the proxy, and gives the file", async () => {
    const disk = await startDisk({ conf: { "apigw.publicurl": "https://disk.example.com" } });
    const port = await start(disk.url);
    const { url, headers } = await downloadUrl(disk, port);
    expect(url.origin).toBe("https://disk.example.com");
    expect(headers["strict-transport-security"]).toBe("max-age=31536000");
    const file = await ask(port, url.pathname + url.search, { host: url.host });
    expect([file.status, file.body]).toEqual([200, "behind a proxy"]);
    const form = { host: "disk.example.com", "content-type": "application/x-www-form-urlencoded" };
    const page = { ...form, origin: "https://disk.example.com" };
    const signedIn = await ask(port, "/user/signin", page, `username=user-1&password=${password}`);
    expect(signedIn.headers["set-cookie"]?.[0]).toMatch(/; Secure/);
    expect((JSON.parse(signedIn.body) as { data: object }).data).toMatchObject({
      UploadEntry: "https://disk.example.com",
    });
  });

  test("without one, what a trusted proxy says of the host and of TLS counts", async () => {
    const disk = await startDisk({ conf: { "apigw.trustedproxies": "127.0.0.1" } });
    const { url } = await downloadUrl(disk, await start(disk.url));
    expect(url.origin).toBe("https://disk.example.com");
  });

  test("what any other one says does not", async () => {
    const disk = await startDisk({ conf: { "apigw.trustedproxies": "10.0.0.1" } });
    const more = { "x-forwarded-host": "evil.example.com", "x-forwarded-proto": "https" };
    const { url } = await downloadUrl(disk, await start(disk.url), more);
    expect(url.protocol).toBe("http:");
    expect(url.host).not.toContain("evil");
  });
});
