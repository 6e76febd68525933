/** One way from bytes and JSON to messages and back. Each throws for what is no message of `typeName`. */
export interface Codec {
  decode(typeName: string, bytes: Uint8Array): unknown;
  fromJson(typeName: string, text: string, ignoreUnknown: boolean): unknown;
  encode(typeName: string, message: unknown): Uint8Array;
  toJson(typeName: string, message: unknown): string;
}
