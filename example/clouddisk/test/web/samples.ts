import { deflateSync } from "node:zlib";

function crc(data: Buffer): number {
  let value = ~0;
  for (const byte of data) {
    value ^= byte;
    for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0);
  }
  return ~value >>> 0;
}

/** A red square. */
export function png(side: number): Buffer {
  const row = Buffer.concat([Buffer.from([0]), Buffer.alloc(side * 3).fill(Buffer.from([220, 40, 60]))]);
  return pngOf(side, 2, Buffer.concat(Array.from({ length: side }, () => row)));
}

/** Of 400 million pixels in a few kilobytes: one bit each. */
export function hugePng(): Buffer {
  const side = 20_000;
  return pngOf(side, 0, Buffer.alloc(side * (1 + side / 8)));
}

function pngOf(side: number, colours: 0 | 2, rows: Buffer): Buffer {
  const chunk = (type: string, data: Buffer): Buffer => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const whole = Buffer.alloc(body.length + 8);
    whole.writeUInt32BE(data.length, 0);
    body.copy(whole, 4);
    whole.writeUInt32BE(crc(body), body.length + 4);
    return whole;
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(side, 0);
  head.writeUInt32BE(side, 4);
  head.set([colours === 0 ? 1 : 8, colours], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([
    signature,
    chunk("IHDR", head),
    chunk("IDAT", deflateSync(rows)),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

/** One page for each text; `font` is the PDF's own description of it, `box` how large they are. A script wants to run when it is opened. */
export function pdf(
  texts: string[],
  font = "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
  box = "0 0 300 200",
): Buffer {
  const first = 4;
  const pages = texts.map((_, at) => `${first + at * 2} 0 R`).join(" ");
  const objects = [
    "<</Type/Catalog/Pages 2 0 R/OpenAction<</S/JavaScript/JS(app.alert\\(1\\); window.hacked = 'pdf')>>>>",
    `<</Type/Pages/Kids[${pages}]/Count ${texts.length}>>`,
    font,
  ];
  texts.forEach((text, at) => {
    const drawing = `BT /F 40 Tf 20 80 Td ${text} Tj ET`;
    const page = `/Type/Page/Parent 2 0 R/MediaBox[${box}]/Resources<</Font<</F 3 0 R>>>>`;
    objects.push(`<<${page}/Contents ${first + at * 2 + 1} 0 R>>`);
    objects.push(`<</Length ${drawing.length}>>stream\n${drawing}\nendstream`);
  });
  let whole = "%PDF-1.4\n";
  const at = objects.map((object, index) => {
    const offset = whole.length;
    whole += `${index + 1} 0 obj${object}endobj\n`;
    return `${String(offset).padStart(10, "0")} 00000 n \n`;
  });
  const size = objects.length + 1;
  const table = `xref\n0 ${size}\n0000000000 65535 f \n${at.join("")}`;
  return Buffer.from(
    `${whole}${table}trailer<</Size ${size}/Root 1 0 R>>\nstartxref\n${whole.length}\n%%EOF`,
  );
}

/** A font of Chinese characters by their GBK codes, which the file does not bring along. */
export const songti =
  "<</Type/Font/Subtype/Type0/BaseFont/STSong-Light/Encoding/GBK-EUC-H/DescendantFonts[<</Type/Font/Subtype/CIDFontType0/BaseFont/STSong-Light/CIDSystemInfo<</Registry(Adobe)/Ordering(GB1)/Supplement 2>>/FontDescriptor<</Type/FontDescriptor/FontName/STSong-Light/Flags 4/FontBBox[0 0 1000 1000]/ItalicAngle 0/Ascent 900/Descent -100/CapHeight 700/StemV 80>>>>]>>";

const svg = (body: string): Buffer =>
  Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg" width="100" height="100">${body}</svg>`);

/** A few lines that come to 10 to the power of `levels` elements. */
export function nestedUses(levels: number): Buffer {
  const groups = Array.from({ length: levels }, (_, at) => {
    const uses = `<use href="#g${at}"/>`.repeat(10);
    return `<g id="g${at + 1}">${uses}</g>`;
  });
  return svg(
    `<defs><g id="g0"><rect width="9" height="9"/></g>${groups.join("")}</defs><use href="#g${levels}"/>`,
  );
}

/** The same by patterns, which style rules refer to: their number is not seen without drawing them. */
export function nestedPatterns(levels: number): Buffer {
  const rules = Array.from({ length: levels + 1 }, (_, at) => `.c${at}{fill:url(#p${at})}`);
  const patterns = Array.from({ length: levels }, (_, at) => {
    const rects = Array.from({ length: 10 }, (_, n) => `<rect class="c${at}" width="${n + 1}" height="9"/>`);
    return `<pattern id="p${at + 1}" width="0.1" height="0.1">${rects.join("")}</pattern>`;
  });
  const first = '<pattern id="p0" width="1" height="1"><rect width="1" height="1" fill="red"/></pattern>';
  const style = `<style>${rules.join("")}</style><defs>${first}${patterns.join("")}</defs>`;
  return svg(`${style}<rect class="c${levels}" width="100" height="100"/>`);
}
