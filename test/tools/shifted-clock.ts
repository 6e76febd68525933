// Loaded before a program (`--import`): its wall clock differs from the machine's by SHIFT_MS of the environment.
const shiftMs = Number(process.env.SHIFT_MS ?? "0");
const RealDate = Date;

class ShiftedDate extends RealDate {
  constructor(...given: [] | [number | string]) {
    if (given.length === 0) super(RealDate.now() + shiftMs);
    else super(given[0]);
  }

  static override now(): number {
    return RealDate.now() + shiftMs;
  }
}

globalThis.Date = ShiftedDate as DateConstructor;
