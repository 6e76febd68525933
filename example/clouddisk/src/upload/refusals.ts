import { Code, Refusal } from "../common/codes.js";

export function tooLarge(sizeMaxBytes: number): Refusal {
  return new Refusal(Code.QUOTA, `the file is larger than ${sizeMaxBytes} bytes ([upload] filemax)`);
}

export function overQuota(): Refusal {
  return new Refusal(
    Code.QUOTA,
    "the file exceeds your quota; delete something for good first ([account] quota)",
  );
}

export function noFolder(parentId: number): Refusal {
  return new Refusal(Code.NOT_FOUND, `there is no folder ${parentId}`);
}
