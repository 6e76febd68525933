import fc from "fast-check";
import { vi } from "vitest";
import type { VectorFrame } from "./vectors.js";

export const ping = (id: number): VectorFrame => ({ kind: "PING", ping_id: id });

/** A header of `headerBytes`, with its length in front. */
export function withHeader(header: Buffer, body = Buffer.alloc(0)): Buffer {
  const lead = Buffer.alloc(4);
  lead.writeUInt32LE(header.length);
  return Buffer.concat([lead, header, body]);
}

export function allocatedBy(work: () => void): { largest: number; count: number } {
  const spies = [
    vi.spyOn(Buffer, "allocUnsafeSlow"),
    vi.spyOn(Buffer, "allocUnsafe"),
    vi.spyOn(Buffer, "alloc"),
  ];
  work();
  const sizes = spies.flatMap((spy) => spy.mock.calls.map(([size]) => size)).filter((size) => size > 0);
  for (const spy of spies) spy.mockRestore();
  return { largest: Math.max(0, ...sizes), count: sizes.length };
}

export const uint32 = fc.integer({ min: 1, max: 0xffff_ffff });
const bodyHex = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString("hex"));
const anyText = fc.string({ unit: "grapheme", minLength: 1, maxLength: 50 });
const anyMetadata = fc.array(
  fc.oneof(
    fc.record({ key: fc.stringMatching(/^[a-z0-9_.-]{1,20}$/), text: anyText }),
    fc.record({ key: fc.stringMatching(/^[a-z0-9_.-]{1,20}$/), binary: bodyHex }),
  ),
  { minLength: 1, maxLength: 5 },
);
export const anyFrame: fc.Arbitrary<VectorFrame> = fc
  .oneof(
    fc.record(
      {
        kind: fc.constant("CALL"),
        call_id: uint32,
        method_index: uint32,
        timeout_ms: fc.integer({ min: 0, max: 0xffff_ffff }),
        service_name: anyText,
        method_name: anyText,
        metadata: anyMetadata,
        idempotency_key: anyText,
        body: bodyHex,
      },
      { requiredKeys: ["kind"] },
    ),
    fc.record(
      {
        kind: fc.constant("REPLY"),
        call_id: uint32,
        status: fc.constantFrom("CANCELLED", "NOT_FOUND", "UNAUTHENTICATED"),
        message: anyText,
        metadata: anyMetadata,
        details: fc.array(fc.record({ type: anyText, value: bodyHex }), { minLength: 1, maxLength: 3 }),
        executed: fc.constantFrom("NEVER", "YES"),
        body: bodyHex,
      },
      { requiredKeys: ["kind", "call_id"] },
    ),
    fc.record({ kind: fc.constant("CANCEL"), call_id: uint32 }),
    fc.record({ kind: fc.constantFrom("PING", "PONG"), ping_id: uint32 }),
    fc.record({ kind: fc.constant("GOING_AWAY"), accepted_calls: fc.integer({ min: 0, max: 0xffff_ffff }) }),
  )
  .map((frame) => {
    const copy = { ...frame } as VectorFrame;
    if (copy.body === "") delete copy.body;
    return copy;
  });
