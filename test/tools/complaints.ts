/** Warnings of Node that mean a mistake of ours; those of experimental or deprecated things are another matter. */
const warning =
  /\b(MaxListenersExceeded|PromiseRejectionHandled|UnhandledPromiseRejection|TimeoutOverflow|TimeoutNegative|TimeoutNaN)Warning\b/;
/** The end of what Node prints when it dies of an exception or a rejection that nobody handles. */
const crash = /ERR_UNHANDLED_REJECTION|^Node\.js v\d+\.\d+/;

const seen: string[] = [];

/** For the processes that tests start: warnings come with the place they were made at. */
export const strictNode = "--trace-warnings --unhandled-rejections=strict";

function isComplaint(line: string): boolean {
  return warning.test(line) || crash.test(line);
}

/** Keeps `line` when Node complains in it. */
export function noteComplaint(where: string, line: string): void {
  if (isComplaint(line)) seen.push(`${where}: ${line}`);
}

/** What was noted since it was last asked. */
export function takeComplaints(): string[] {
  return seen.splice(0);
}

let watching = false;

/** Notes the warnings of this process too. Once is enough for it, however many test files it runs. */
export function watchThisProcess(): void {
  if (watching) return;
  watching = true;
  process.on("warning", ({ name, message, stack }) =>
    noteComplaint("this process", `${name}: ${message}\n${stack}`),
  );
}
