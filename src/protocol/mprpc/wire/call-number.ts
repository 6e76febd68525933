/**
 * A call number is a slot and a generation: `slot * 128 + generation`. The caller increments the generation whenever it
 * reuses a slot, so that a duplicate answer to an earlier call never matches the current call of the slot. Slots begin
 * at 1; number 0 means a oneway call, and 1 to 127 are not used.
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
