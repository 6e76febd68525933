/** JSON that is not the message it should be, or a message that JSON cannot hold. The text names the field. */
export class JsonMappingError extends TypeError {
  override readonly name = "JsonMappingError";
}
