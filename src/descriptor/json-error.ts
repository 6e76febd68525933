/** A text that quotes what was given ends here: the request may be all one value of some MB. */
const textMax = 500;

/** JSON that is not the message it should be, or a message that JSON cannot hold. The text names the field. */
export class JsonMappingError extends TypeError {
  override readonly name = "JsonMappingError";

  constructor(text: string, options?: ErrorOptions) {
    super(text.length > textMax ? `${text.slice(0, textMax)}...` : text, options);
  }
}
