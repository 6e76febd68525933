import type { SeededRandom } from "../../src/testing/index.js";

const words = [
  ..."message enum service rpc returns oneof map<string,int32> repeated optional required reserved extend extensions".split(
    " ",
  ),
  ..."group import option package public weak syntax edition stream to max default json_name export local".split(
    " ",
  ),
  ..."{ } ; = ( ) [ ] < > , . - + / # : \" ' /* */ // \\ 0 -1 1 2 7 19000 536870911 536870912 2147483647".split(
    " ",
  ),
  ..."99999999999 18446744073709551616 0x10 010 08 1e9 .5 inf nan true false A a Foo foo .A A.B".split(" "),
  ..."string int32 uint64 bytes double float bool sint64 fixed32 features field_presence IMPLICIT deprecated".split(
    " ",
  ),
  ...'packed lazy allow_alias message_set_wire_format map_entry "x" \'y\' "\\xff" "\\u00e9" "a.proto"'.split(
    " ",
  ),
];

/** Words, with the space between them. */
export function wordsOf(source: string): string[] {
  return source.split(/(\s+|[{}();=<>,[\]:.])/).filter((part) => part !== "");
}

/**
 * A source with words left out, put in, moved, given twice or taken from another source: what is left is closer to a .proto
 * than changed bytes are.
 */
export function mutateProto(random: SeededRandom, sources: readonly string[]): string {
  const parts = wordsOf(random.pick(sources));
  for (let i = random.integer(1, 2); i > 0; i--) {
    const at = random.integer(0, Math.max(0, parts.length - 1));
    const count = random.integer(1, 4);
    switch (random.integer(0, 10)) {
      case 0:
        parts.splice(at, count);
        break;
      case 1:
        parts.splice(at, 0, ` ${random.pick(words)} `);
        break;
      case 2:
      case 3:
        parts.splice(at, 1, random.pick(words));
        break;
      case 4:
        parts.splice(at, 0, ...parts.slice(at, at + 4 * count));
        break;
      case 5: {
        const other = wordsOf(random.pick(sources));
        const from = random.integer(0, Math.max(0, other.length - 1));
        parts.splice(at, 0, ...other.slice(from, from + 8 * count));
        break;
      }
      case 6:
      case 7:
      case 8:
      case 9:
        swapAlike(random, parts);
        break;
      default:
        parts.splice(at, parts.length, ...(random.integer(0, 3) === 0 ? [] : parts.slice(at + count)));
    }
  }
  return parts.join("");
}

/** Puts a name in the place of another name, or a number in that of another: the grammar goes on, the meaning changes. */
function swapAlike(random: SeededRandom, parts: string[]): void {
  const kind = random.pick([/^[A-Za-z_]\w*$/, /^-?[0-9]/, /^["']/, /^[A-Za-z_]\w*$/]);
  const places = parts.flatMap((part, i) => (kind.test(part) ? [i] : []));
  if (places.length === 0) return;
  const from = parts[random.pick(places)] ?? "";
  const known = words.filter((word) => kind.test(word));
  parts[random.pick(places)] = random.integer(0, 3) === 0 && known.length > 0 ? random.pick(known) : from;
}
