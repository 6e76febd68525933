/**
 * A call number is a slot and a generation: `slot * 128 + generation`. The caller counts the generation on whenever it
 * uses a slot again, so that a second answer to an earlier call never meets the call that has its slot now. Slots begin
 * at 1; number 0 stands for a call that nobody waits for, and 1 to 127 are not used.
 */
const generationBits = 7;
const generationMask = (1 << generationBits) - 1;

/** Slots on one connection that a number has room for. */
export const slotsMax = 1 << 24;

/** Where tables keep the call of this number. */
export function slotOf(callId: number): number {
  return callId >>> generationBits;
}

/** The number of the first call in `slot`, which is from 1 to `slotsMax`. */
export function firstCallId(slot: number): number {
  return slot << generationBits;
}

/** The number of the next call in the same slot. */
export function nextCallId(callId: number): number {
  return (callId & ~generationMask) | ((callId + 1) & generationMask);
}
