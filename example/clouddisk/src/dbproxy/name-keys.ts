/**
 * What a search compares: each character folded by itself, so that no neighbour changes it (a Greek sigma at the end of a word is one
 * anywhere else too), by way of its capital, so that ß is ss and the Kelvin sign a k. In NFC.
 */
export function nameKey(name: string): string {
  const folded = Array.from(name.normalize("NFC"), (character) =>
    Array.from(character.toUpperCase(), (capital) => capital.toLowerCase()).join(""),
  ).join("");
  // The Turkish İ folds to an i with a dot more, which nobody types.
  return folded.replace(/i\u0307/g, "i").normalize("NFC");
}

/** Accents of Latin, Greek and Cyrillic letters. */
const accents = /[\u0300-\u036f]/g;

/**
 * What names are sorted by, character by character: letters without their case and accents, and numbers by their value, whose count
 * of digits stands before them: "file 9" comes before "file 10".
 */
export function sortKey(name: string): string {
  const plain = nameKey(name).normalize("NFD").replace(accents, "").normalize("NFC");
  return plain.replace(/\d+/g, (run) => {
    const digits = run.replace(/^0+(?=\d)/, "");
    return "9".repeat(Math.floor(digits.length / 9)) + String(digits.length % 9) + digits;
  });
}
