import fc from "fast-check";
import { expect, test } from "vitest";
import { Attempt } from "../../../src/call/attempt.js";
import { CallSlots } from "../../../src/protocol/mprpc/call-slots.js";
import { slotOf } from "../../../src/protocol/mprpc/wire/call-number.js";
import { ProbeService } from "../../support/gen/probe.js";

class Call extends Attempt {
  constructor() {
    const method = ProbeService.methods.echo;
    const facts = {
      metadata: undefined,
      idempotencyKey: undefined,
      oneway: false,
      stream: undefined,
      deadlineMs: Infinity,
    };
    super({ method, request: {}, ...facts, onAttempt() {}, onReply() {}, onFailure() {} }, 0);
  }
}

test("a number is used by one call at a time, and an old one by none, whatever becomes of the calls", () => {
  type Step = { what: "call" | "answer" | "abandon" | "retire" | "twice"; which: number };
  const steps = fc.array(
    fc.record<Step>({
      what: fc.constantFrom("call", "call", "answer", "answer", "abandon", "retire", "twice"),
      which: fc.nat(),
    }),
    { maxLength: 400 },
  );
  const property = fc.property(steps, (all) => {
    const slots = new CallSlots();
    /** Every number whose answer is awaited, with its call unless that was given up. */
    const open = new Map<number, Call | undefined>();
    const answered: number[] = [];
    for (const { what, which } of all) {
      const ids = [...open.keys()];
      const id = ids[which % Math.max(1, ids.length)];
      if (what === "call") {
        const call = new Call();
        const { nextId } = slots;
        slots.add(call, nextId);
        expect(call.id).toBe(nextId);
        expect(open.has(call.id)).toBe(false);
        expect(answered.slice(-127)).not.toContain(call.id);
        expect(slotOf(call.id)).toBeGreaterThan(0);
        open.set(call.id, call);
      } else if (what === "twice") {
        // An answer that has come already, at most 127 uses of its slot ago.
        for (const old of answered.slice(-100)) if (!open.has(old)) expect(slots.expects(old)).toBe(false);
      } else if (id !== undefined) {
        const call = open.get(id);
        if (what === "answer") {
          expect(slots.expects(id)).toBe(true);
          expect(slots.find(id)).toBe(call);
          expect(slots.release(id)).toBe(call);
          answered.push(id);
          open.delete(id);
        } else if (call !== undefined && what === "abandon") {
          slots.abandon(call);
          open.set(id, undefined);
        } else if (call !== undefined) {
          slots.retire(call);
          open.delete(id);
        }
      }
      expect(slots.inFlight).toBe(open.size);
    }
    expect(new Set(slots.calls)).toEqual(new Set([...open.values()].filter((call) => call !== undefined)));
  });
  fc.assert(property, { numRuns: 300 });
});

test("the table is no larger than the most calls there ever were at a time", () => {
  const slots = new CallSlots();
  for (let round = 0; round < 1000; round++) {
    const calls = [new Call(), new Call(), new Call()];
    for (const call of calls) slots.add(call, slots.nextId);
    expect(Math.max(...calls.map(({ id }) => slotOf(id)))).toBeLessThanOrEqual(3);
    for (const call of calls) slots.release(call.id);
  }
});
