type Unshown = "broken" | "locked" | "large" | "complex" | "slow" | "shape";

/** The file is there, and cannot be shown. */
export class NoPreview extends Error {
  override readonly name = "NoPreview";
  readonly why: Unshown;

  constructor(why: Unshown, cause?: unknown) {
    super(why, { cause });
    this.why = why;
  }
}
