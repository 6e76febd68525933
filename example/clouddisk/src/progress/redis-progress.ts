import { Redis } from "ioredis";
import { RpcError, Status } from "mprpc";
import type { Claim, PartKey, ProgressStore } from "./progress.js";

/**
 * The hash `MP_<upload id>`: a field `part:<index>` with the hash of a part that has arrived, or `claim:<index>` with
 * `<ms until>:<owner>`. Redis' own clock decides, so that processes need not agree on the time.
 */
const now = `local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
`;

const claimScript = `${now}
local done = redis.call('HGET', KEYS[1], 'part:' .. ARGV[1])
if done then return {'recorded', done} end
local held = redis.call('HGET', KEYS[1], 'claim:' .. ARGV[1])
if held then
  local untilMs, owner = held:match('^(%d+):(.*)$')
  if owner ~= ARGV[2] and tonumber(untilMs) > now then return {'busy', owner} end
end
redis.call('HSET', KEYS[1], 'claim:' .. ARGV[1], string.format('%d:%s', now + ARGV[3], ARGV[2]))
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return {'claimed', ''}`;

const recordScript = `
local held = redis.call('HGET', KEYS[1], 'claim:' .. ARGV[1])
if not held or held:match('^%d+:(.*)$') ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], 'claim:' .. ARGV[1])
if ARGV[3] ~= '' then redis.call('HSET', KEYS[1], 'part:' .. ARGV[1], ARGV[3]) end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1`;

const listScript = `${now}
return {tostring(now), redis.call('HGETALL', KEYS[1])}`;

/** Parts in Redis. What an upload needs is gone with its TTL: the parts are then sent again. */
export class RedisProgress implements ProgressStore {
  readonly #redis: Redis;
  readonly #ttlMs: number;

  constructor(url: string, ttlMs: number) {
    this.#ttlMs = ttlMs;
    this.#redis = new Redis(url, {
      // Whoever waits for a part to be recorded is told soon that Redis is away; the connection comes back by itself.
      maxRetriesPerRequest: 1,
      commandTimeout: 3000,
      connectTimeout: 3000,
      retryStrategy: (attempt) => Math.min(50 * 2 ** attempt, 1000),
    });
    // Each command that fails tells its caller; the event is only there so as not to end the process.
    this.#redis.on("error", () => {});
  }

  async #eval(script: string, uploadId: string, args: Array<string | number>): Promise<unknown> {
    try {
      return await this.#redis.eval(script, 1, `MP_${uploadId}`, ...args);
    } catch (error) {
      throw new RpcError(Status.UNAVAILABLE, "Redis is away", { cause: error });
    }
  }

  async claim({ uploadId, index, owner }: PartKey, leaseMs: number): Promise<Claim> {
    const reply = (await this.#eval(claimScript, uploadId, [index, owner, leaseMs, this.#ttlMs])) as string[];
    const [outcome, text = ""] = reply;
    if (outcome === "recorded") return { outcome, partHash: text };
    return outcome === "claimed" ? { outcome } : { outcome: "busy", owner: text };
  }

  async record({ uploadId, index, owner }: PartKey, partHash: string): Promise<boolean> {
    return (await this.#eval(recordScript, uploadId, [index, owner, partHash, this.#ttlMs])) === 1;
  }

  async release({ uploadId, index, owner }: PartKey): Promise<void> {
    await this.#eval(recordScript, uploadId, [index, owner, "", this.#ttlMs]);
  }

  async list(uploadId: string): Promise<{ parts: ReadonlyMap<number, string>; claims: number }> {
    const [nowText, fields] = (await this.#eval(listScript, uploadId, [])) as [string, string[]];
    const parts = new Map<number, string>();
    let claims = 0;
    for (let at = 0; at + 1 < fields.length; at += 2) {
      const [kind, index] = (fields[at] ?? "").split(":");
      const value = fields[at + 1] ?? "";
      if (kind === "part") parts.set(Number(index), value);
      else if (Number.parseInt(value, 10) > Number(nowText)) claims++;
    }
    return { parts, claims };
  }

  async clear(uploadId: string): Promise<void> {
    try {
      await this.#redis.del(`MP_${uploadId}`);
    } catch (error) {
      throw new RpcError(Status.UNAVAILABLE, "Redis is away", { cause: error });
    }
  }

  async close(): Promise<void> {
    this.#redis.disconnect();
  }
}
