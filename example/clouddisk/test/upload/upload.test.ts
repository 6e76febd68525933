import { createHash, randomBytes } from "node:crypto";
import { stat } from "node:fs/promises";
import { connect } from "node:net";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Staging } from "../../src/common/staging.js";
import { type Disk, startDisk, type User } from "../support/disk.js";
import { Client, partBytes, partOf, replyOf, sha256 } from "./support.js";

const conf = {
  "upload.part": "64KiB",
  "upload.filemax": "64MiB",
  "account.quota": "1GiB",
  "upload.instant": "everyone",
};

let disk: Disk;
let user: User;
let client: Client;

beforeAll(async () => {
  disk = await startDisk({ keep: true, conf });
  user = await disk.user();
  client = new Client(disk, user);
});
afterAll(() => disk.stop());

describe("a whole file", () => {
  it("comes in a form, or raw, and goes out again as it was", async () => {
    const data = randomBytes(3_000_000);
    const form = new FormData();
    form.set("file", new Blob([new Uint8Array(data)]), "三 张.bin");
    const reply = await replyOf(
      fetch(`${disk.url}/file/upload`, { method: "POST", body: form, headers: user.headers }),
    );
    expect(reply).toMatchObject({
      http: 200,
      code: 0,
      data: { filename: "三 张.bin", filehash: sha256(data) },
    });
    expect((await client.download(sha256(data))).equals(data)).toBe(true);
    const raw = randomBytes(1000);
    const sent = { method: "POST", body: new Uint8Array(raw), headers: user.headers };
    expect(await replyOf(fetch(`${disk.url}/file/upload?filename=raw.bin`, sent))).toMatchObject({ code: 0 });
    expect((await client.download(sha256(raw))).equals(raw)).toBe(true);
    expect(await client.tempFiles()).toEqual([]);
  });

  it("may be empty", async () => {
    const sent = { method: "POST", headers: user.headers };
    expect(await replyOf(fetch(`${disk.url}/file/upload?filename=empty`, sent))).toMatchObject({ code: 0 });
    expect((await client.download(sha256(""))).length).toBe(0);
  });

  it("must be what it is said to be, and leaves nothing otherwise", async () => {
    const form = new FormData();
    form.set("filehash", sha256("something else"));
    form.set("file", new Blob(["poison"]), "p");
    const reply = await replyOf(
      fetch(`${disk.url}/file/upload`, { method: "POST", body: form, headers: user.headers }),
    );
    expect(reply).toMatchObject({ http: 200, code: -1 });
    expect(await client.rows(sha256("something else"))).toBe(0);
    expect(await client.tempFiles()).toEqual([]);
  });

  it("is refused without a token, with a bad name, or when it is too large", async () => {
    const send = (query: string, body: Buffer, headers: Record<string, string> = user.headers) =>
      replyOf(
        fetch(`${disk.url}/file/upload${query}`, { method: "POST", body: new Uint8Array(body), headers }),
      );
    expect(await send("?filename=x", Buffer.from("x"), {})).toMatchObject({ http: 401, code: 10_005 });
    for (const name of ["../x", "..", "a/b", "a\\b", "x\r\ny", "\u202egpj.exe"]) {
      expect(await send(`?filename=${encodeURIComponent(name)}`, Buffer.from("x"))).toMatchObject({
        code: 10_001,
      });
    }
    const large = await send("?filename=large", Buffer.alloc(64 * 1024 * 1024 + 1));
    expect(large).toMatchObject({ http: 413, code: 10_009 });
    expect(large.msg).toContain("[upload] filemax");
    expect(await send("?filename=x&parentid=99999", Buffer.from("x"))).toMatchObject({ code: 10_007 });
    expect(await client.tempFiles()).toEqual([]);
  });

  it("leaves nothing when its client goes away midway", async () => {
    const { hostname, port } = new URL(disk.url);
    const socket = connect(Number(port), hostname);
    const head = `POST /file/upload?filename=cut HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n`;
    socket.write(`${head}authorization: ${user.headers.authorization}\r\n\r\n${"x".repeat(100_000)}`);
    await expect.poll(() => client.tempFiles()).toHaveLength(1);
    socket.destroy();
    await expect.poll(() => client.tempFiles()).toEqual([]);
  });
});

describe("an upload in parts", () => {
  it("takes them in any order, twice too, and resumes", async () => {
    const data = randomBytes(5 * partBytes + 17);
    const begun = await client.init(data);
    expect(begun).toMatchObject({
      status: "OK",
      code: 0,
      chunkcount: 6,
      chunksize: partBytes,
      chunkexists: [],
    });
    expect(begun.data).toMatchObject({
      uploadID: begun.uploadID,
      filename: "big.bin",
      filesize: data.length,
    });
    const id = String(begun.uploadID);
    for (const index of [5, 0, 3]) {
      expect(
        await client.uppart(id, index, partOf(data, index), `&chkhash=${sha256(partOf(data, index))}`),
      ).toMatchObject({ code: 0 });
    }
    expect(await client.uppart(id, 3, partOf(data, 3))).toMatchObject({ code: 0 });
    expect(await client.uppart(id, 3, randomBytes(partBytes))).toMatchObject({ code: -2 });
    expect(await client.init(data)).toMatchObject({ uploadID: id, chunkexists: [0, 3, 5] });
    expect((await client.get("/api/uploads")).uploads).toMatchObject([
      { uploadID: id, chunkexists: [0, 3, 5] },
    ]);
    const early = await client.post("/file/mpupload/complete", {
      uploadid: id,
      filehash: sha256(data),
      filesize: data.length,
      filename: "big.bin",
    });
    expect(early).toMatchObject({ http: 200, code: -2, data: { missing: [1, 2, 4] } });
    await Promise.all([1, 2, 4].map((index) => client.uppart(id, index, partOf(data, index))));
    expect(await client.post("/file/mupload/complete", { uploadID: id })).toMatchObject({
      code: 0,
      data: { filename: "big.bin" },
    });
    expect((await client.download(sha256(data))).equals(data)).toBe(true);
    // Once more, as after a lost reply.
    expect(await client.post("/file/mpupload/complete", { uploadid: id })).toMatchObject({ code: 0 });
    expect(await client.rows(sha256(data))).toBe(1);
    expect((await client.get(`/file/mpupload/status?uploadid=${id}`)).data).toMatchObject({ state: "done" });
    expect(await client.uppart(id, 0, partOf(data, 0))).toMatchObject({ http: 409, code: 10_008 });
  });

  it("makes one row of fifty completes at once", async () => {
    const data = randomBytes(2 * partBytes);
    const id = String((await client.init(data)).uploadID);
    for (const index of [0, 1]) await client.uppart(id, index, partOf(data, index));
    const replies = await Promise.all(
      Array.from({ length: 50 }, () => client.post("/file/mpupload/complete", { uploadid: id })),
    );
    expect(new Set(replies.map(({ code }) => code))).toEqual(new Set([0]));
    expect(await client.rows(sha256(data))).toBe(1);
  });

  it("refuses parts that are none", async () => {
    const data = randomBytes(2 * partBytes + 5);
    const id = String((await client.init(data)).uploadID);
    for (const index of ["99", "-1", "1000000000", "NaN", "1.5", "../../x", ""]) {
      expect((await client.uppart(id, index, partOf(data, 0))).code).toBe(10_001);
    }
    expect(await client.uppart(id, 0, data.subarray(0, 10))).toMatchObject({ http: 400, code: 10_001 });
    expect(await client.uppart(id, 2, partOf(data, 0))).toMatchObject({ http: 400, code: 10_001 });
    expect(await client.uppart(id, 0, partOf(data, 1), `&chkhash=${sha256(partOf(data, 0))}`)).toMatchObject({
      http: 200,
      code: -2,
    });
    expect(await client.uppart(id, 0, partOf(data, 0), "&chkhash=xyz")).toMatchObject({ code: 10_001 });
    expect((await client.get(`/file/mpupload/status?uploadid=${id}`)).chunkexists).toEqual([]);
    // What was refused blocks nobody.
    expect(await client.uppart(id, 0, partOf(data, 0))).toMatchObject({ code: 0 });
  });

  it("cannot be made to hold other bytes than its hash says", async () => {
    const wanted = randomBytes(partBytes);
    const evil = randomBytes(partBytes);
    const id = String((await client.init(wanted)).uploadID);
    expect(await client.uppart(id, 0, evil)).toMatchObject({ code: 0 });
    expect(await client.post("/file/mpupload/complete", { uploadid: id })).toMatchObject({
      http: 200,
      code: -1,
    });
    expect(await client.rows(sha256(wanted))).toBe(0);
    // Open again, its parts to be sent anew.
    expect(await client.uppart(id, 0, wanted)).toMatchObject({ code: 0 });
    expect(await client.post("/file/mpupload/complete", { uploadid: id })).toMatchObject({ code: 0 });
    expect((await client.download(sha256(wanted))).equals(wanted)).toBe(true);
  });

  it("is nobody else's", async () => {
    const data = randomBytes(partBytes);
    const id = String((await client.init(data)).uploadID);
    const thief = await disk.user();
    expect(await client.uppart(id, 0, data, "", thief)).toMatchObject({ http: 404, code: 10_007 });
    expect(await client.post("/file/mpupload/complete", { uploadid: id }, thief)).toMatchObject({
      code: 10_007,
    });
    expect(await client.post("/file/mpupload/cancel", { uploadid: id }, thief)).toMatchObject({
      code: 10_007,
    });
    expect(await client.get(`/file/mpupload/status?uploadid=${id}`, thief)).toMatchObject({ code: 10_007 });
    for (const strange of ["0".repeat(32), "../../etc/passwd", "x"]) {
      expect(await client.post("/file/mpupload/complete", { uploadid: strange })).toMatchObject({
        code: 10_007,
      });
    }
  });

  it("checks what it is told of the file", async () => {
    const filehash = sha256("x");
    const begin = (filesize: string) =>
      client.post("/file/mpupload/init", { filename: "f", filehash, filesize });
    for (const filesize of ["-1", "NaN", "9007199254740993", "1e3", "", "0x10"]) {
      expect(await begin(filesize)).toMatchObject({ http: 400, code: 10_001 });
    }
    expect(await begin(String(64 * 1024 * 1024 + 1))).toMatchObject({ http: 413, code: 10_009 });
    expect(
      await client.post("/file/mpupload/init", { filename: "../f", filehash, filesize: 1 }),
    ).toMatchObject({
      code: 10_001,
    });
    expect(
      await client.post("/file/mpupload/init", { filename: "f", filehash: "' or 1=1", filesize: 1 }),
    ).toMatchObject({ code: 10_001 });
    expect(
      await client.post("/file/mpupload/init", { filename: "f", filehash, filesize: 1 }, null),
    ).toMatchObject({
      code: 10_005,
    });
  });

  it("may be of an empty file", async () => {
    const id = String((await client.init(Buffer.alloc(0), "nothing")).uploadID);
    expect(await client.post("/file/mpupload/complete", { uploadid: id })).toMatchObject({
      code: 0,
      data: { filesize: 0 },
    });
  });

  it("is gone when it is cancelled, with its disk space and its share of the quota", async () => {
    const data = randomBytes(partBytes * 2);
    const id = String((await client.init(data)).uploadID);
    await client.uppart(id, 0, partOf(data, 0));
    const file = path.join(new Staging(disk.dataFolder).partsFolder, id);
    expect((await stat(file)).isFile()).toBe(true);
    expect(await client.post("/file/mpupload/cancel", { uploadid: id })).toMatchObject({ code: 0 });
    await expect(stat(file)).rejects.toThrow("ENOENT");
    expect(await client.post("/file/mpupload/complete", { uploadid: id })).toMatchObject({
      http: 409,
      code: 10_008,
    });
    expect(await client.uppart(id, 1, partOf(data, 1))).toMatchObject({ code: 10_008 });
  });
});

describe("instant upload", () => {
  interface Challenge {
    id: string;
    nonce: string;
    ranges: Array<{ offset: number; length: number }>;
  }

  function prove(data: Buffer, { nonce, ranges }: Challenge): string {
    const hash = createHash("sha256").update(nonce);
    for (const { offset, length } of ranges) hash.update(data.subarray(offset, offset + length));
    return hash.digest("hex");
  }

  async function uploaded(data: Buffer): Promise<void> {
    const sent = { method: "POST", body: new Uint8Array(data), headers: user.headers };
    expect(await replyOf(fetch(`${disk.url}/file/upload?filename=original`, sent))).toMatchObject({
      code: 0,
    });
  }

  it.each([1000, 2_000_000])(
    "is for those who have the %i bytes, not for those who know their hash",
    async (sizeBytes) => {
      const data = randomBytes(sizeBytes);
      await uploaded(data);
      const filehash = sha256(data);
      const form = { filehash, filename: "mine" };
      const thief = await disk.user();
      const asked = await client.post("/file/fastupload", form, thief);
      expect(asked).toMatchObject({ http: 200, code: -2 });
      const challenge = asked.data.challenge as Challenge;
      const wrong = await client.post(
        "/file/fastupload",
        { ...form, challengeid: challenge.id, proof: sha256("guess") },
        thief,
      );
      expect(wrong).toMatchObject({ http: 200, code: -1 });
      // A challenge is answered once: the right proof comes too late now.
      const late = await client.post(
        "/file/fastupload",
        { ...form, challengeid: challenge.id, proof: prove(data, challenge) },
        thief,
      );
      expect(late.code).toBe(-1);
      expect(await client.rows(filehash, thief)).toBe(0);

      const friend = await disk.user();
      const fresh = (await client.post("/file/fastupload", form, friend)).data.challenge as Challenge;
      const stolen = await client.post(
        "/file/fastupload",
        { ...form, challengeid: fresh.id, proof: prove(data, fresh) },
        thief,
      );
      expect(stolen.code).toBe(-1);
      const right = await client.post(
        "/file/fastupload",
        { ...form, challengeid: fresh.id, proof: prove(data, fresh) },
        friend,
      );
      expect(right).toMatchObject({ code: 0, data: { filename: "mine" } });
      expect((await client.download(filehash, friend)).equals(data)).toBe(true);
    },
  );

  it("gives a further name at once to who holds it, and sends the others the ordinary way", async () => {
    const data = randomBytes(10);
    await uploaded(data);
    expect(
      await client.post("/file/fastupload", { filehash: sha256(data), filename: "second" }),
    ).toMatchObject({
      code: 0,
    });
    expect(await client.rows(sha256(data))).toBe(2);
    expect(
      await client.post("/file/fastupload", { filehash: sha256("unknown"), filename: "x" }),
    ).toMatchObject({
      http: 200,
      code: -1,
    });
    expect(
      await client.post("/file/fastupload", { filehash: sha256(data), filename: "x" }, null),
    ).toMatchObject({
      code: 10_005,
    });
  });
});

describe("the quota", () => {
  it("holds for uploads that are open, and for those that race", async () => {
    const small = await startDisk({ conf: { ...conf, "account.quota": "100KiB" } });
    const poor = await small.user();
    const begin = (filesize: number) =>
      small.post(
        "/file/mpupload/init",
        { filename: "f", filehash: sha256(String(filesize)), filesize },
        poor,
      );
    expect(await begin(102_401)).toMatchObject({ code: 10_009 });
    expect(await begin(60_000)).toMatchObject({ code: 0 });
    expect(await begin(60_001)).toMatchObject({ code: 10_009 });
    const send = (at: number) =>
      replyOf(
        fetch(`${small.url}/file/upload?filename=f${at}`, {
          method: "POST",
          body: Buffer.alloc(30_000, at),
          headers: poor.headers,
        }),
      );
    const replies = await Promise.all(Array.from({ length: 8 }, (_, at) => send(at)));
    expect(replies.map(({ code }) => code).sort()).toEqual(
      [0, 0, 0, 10_009, 10_009, 10_009, 10_009, 10_009].sort(),
    );
  });
});
