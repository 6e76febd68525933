/** What is wrong with a .proto file, and where: `user.proto:12: message`. */
export class CodegenError extends Error {
  override readonly name = "CodegenError";
  /** The file as it was named on the command line or found through an import. */
  readonly file: string;
  /** From 1; undefined when the whole file is meant. */
  readonly line: number | undefined;
  /** The text alone. */
  readonly rawMessage: string;

  constructor(file: string, line: number | undefined, message: string) {
    super(line === undefined ? `${file}: ${message}` : `${file}:${line}: ${message}`);
    this.file = file;
    this.line = line;
    this.rawMessage = message;
  }
}
