import fc from "fast-check";
import ini from "ini";
import { describe, expect, test } from "vitest";
import { confMaxBytes, decodeConf, parseConf } from "../../src/config/conf-file.js";

function pairs(content: string): Array<[string, string, string, number]> {
  return parseConf(content).entries.map(({ section, key, text, line }) => [section, key, text, line]);
}

describe("lines", () => {
  test("keys, sections, comments and blanks, with their line numbers", () => {
    const conf =
      "# top\nrpcserverip=127.0.0.1\n\n  ; more\n[log]\nlevel = debug\n [ channel ] # calls\n\tbalancer\t=\tp2c\n";
    expect(pairs(conf)).toEqual([
      ["", "rpcserverip", "127.0.0.1", 2],
      ["log", "level", "debug", 6],
      ["channel", "balancer", "p2c", 8],
    ]);
    expect(parseConf(conf).sections).toEqual([
      { name: "log", line: 5 },
      { name: "channel", line: 7 },
    ]);
  });

  test.each([
    ["LF", "a=1\nb=2\n"],
    ["CRLF", "a=1\r\nb=2\r\n"],
    ["CR", "a=1\rb=2"],
    ["a BOM", "\uFEFFa=1\nb=2"],
    ["blanks around", "  a  =  1  \n\tb\t=\t2\t"],
    ["ideographic blanks", "\u3000a\u3000=\u30001\nb=2"],
  ])("%s", (_name, conf) => {
    expect(pairs(conf)).toEqual([
      ["", "a", "1", 1],
      ["", "b", "2", 2],
    ]);
  });

  test("CRLF counts as one line end", () => {
    expect(pairs("\r\n\r\na=1\r\n")).toEqual([["", "a", "1", 3]]);
  });

  test.each([
    ["just words", '"just" and no "="'],
    ["word", '"word"'],
    ["key: value", '"key:" and no "="'],
  ])("%j is passed over, and told", (line, found) => {
    const { problems, skipped } = parseConf(`\n${line}`);
    expect(problems).toEqual([]);
    expect(skipped).toEqual([{ section: "", line: 2, expected: "key=value", found }]);
  });

  test.each([
    ["=5", { expected: "key=value", found: "a value without a key" }],
    ["level＝debug", { expected: "key=value", found: "a full-width ＝ or ：" }],
    ["[log", { expected: "[section]", found: '"[log"' }],
    ["[log] level=debug", { expected: "[section]", found: '"[log] level=debug"' }],
  ])("%j is no line of a conf", (line, problem) => {
    expect(parseConf(`\n${line}`).problems).toEqual([{ line: 2, ...problem }]);
  });
});

describe("values", () => {
  test.each([
    ["a b", "a b"],
    ["", ""],
    ["a=b=c", "a=b=c"],
    ['"a#b;c"', "a#b;c"],
    ['"a" # comment', "a"],
    ["'a#b' ; comment", "a#b"],
    ["'5'", "5"],
    ["'C:\\logs'", "C:\\logs"],
    ['"C:\\\\logs"', "C:\\logs"],
    ['"\\u0041\\""', 'A"'],
    ["a\\#b\\;c", "a#b;c"],
    ["C:\\logs", "C:\\logs"],
    ["true", "true"],
    ["null", "null"],
    ["数据", "数据"],
    ['""', ""],
  ])("%j reads as %j, and nothing is cut", (raw, text) => {
    const document = parseConf(`k=${raw}`);
    expect(document.entries.map((entry) => entry.text)).toEqual([text]);
    expect(document.cuts).toEqual([]);
    expect(document.problems).toEqual([]);
  });

  test.each([
    ["pass#word", "pass", "#"],
    ["a;b", "a", ";"],
    ["127.0.0.1 # local", "127.0.0.1", "#"],
    ["# nothing", "", "#"],
    ["a\\\\#b", "a\\", "#"],
  ])("%j ends before its mark, which is told", (raw, text, mark) => {
    const document = parseConf(`[s]\nk=${raw}`);
    expect(document.entries).toEqual([{ section: "s", key: "k", text, raw, line: 2 }]);
    expect(document.cuts).toEqual([{ section: "s", key: "k", text, raw, line: 2, mark }]);
  });

  test.each(['"open', "'open", '"a" b', "'a'b'", '"', "'", '"bad \\x escape"'])("%j is refused", (raw) => {
    const document = parseConf(`k=${raw}`);
    expect(document.entries).toEqual([]);
    expect(document.problems).toMatchObject([{ line: 1, key: "k" }]);
  });
});

describe("beside ini", () => {
  const name = fc.stringMatching(/^[a-z]{1,8}$/);
  const value = fc.stringMatching(/^[a-zA-Z0-9_.:/,+ \\#;=-]{0,20}$/);
  const quoted = fc.string({ unit: "grapheme", maxLength: 20 }).map((text) => JSON.stringify(text));
  const comment = fc.stringMatching(/^[#;][a-z =[\]]{0,10}$/);
  const line = fc.oneof(
    fc.tuple(name, fc.oneof(value, quoted)).map(([key, text]) => `${key} = ${text}`),
    name.map((section) => `[${section}]`),
    comment,
    fc.constant(""),
  );
  const conf = fc
    .tuple(fc.array(line, { maxLength: 30 }), fc.constantFrom("\n", "\r\n"))
    .map(([lines, end]) => lines.join(end));

  test("the last entry of each key is what ini reads", () => {
    fc.assert(
      fc.property(conf, (content) => {
        // Without the keys of a section that is named like a top-level key: ini loses them.
        const expected = flatten(ini.parse(content));
        const got = new Map<string, string>();
        for (const { section, key, text } of parseConf(content).entries) {
          got.set(JSON.stringify([section, key]), text);
        }
        for (const [place, text] of expected) expect([place, got.get(place)]).toEqual([place, text]);
      }),
    );
  });

  test("each entry stands in the line it names", () => {
    fc.assert(
      fc.property(conf, (content) => {
        const lines = content.split(/\r?\n/);
        const document = parseConf(content);
        expect([...document.problems, ...document.skipped]).toEqual([]);
        for (const { key, line } of document.entries)
          expect(lines[line - 1]).toMatch(new RegExp(`^${key} =`));
        const assignments = lines.filter((one) => /^[a-z]+ =/.test(one));
        expect(document.entries.length).toBe(assignments.length);
      }),
    );
  });

  test("a value written by ini is read back, and never cut", () => {
    // ini writes neither backslashes nor a lone leading quote in a way that it reads back itself.
    const plain = fc.string({ unit: "grapheme", maxLength: 40 }).filter((text) => !/^["']|\\/.test(text));
    fc.assert(
      fc.property(plain, (text) => {
        const document = parseConf(ini.stringify({ section: { key: text } }));
        expect(document.cuts).toEqual([]);
        expect(document.entries.map((entry) => entry.text)).toEqual([text]);
      }),
      { numRuns: 1000 },
    );
  });

  test("any text at all is read without throwing, every line accounted for at most once", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 300 }), (content) => {
        const { entries, sections, problems, skipped } = parseConf(content);
        const lines = [...entries, ...sections, ...problems, ...skipped].map((one) => one.line);
        expect(new Set(lines).size).toBe(lines.length);
      }),
      { numRuns: 1000 },
    );
  });
});

function flatten(parsed: Record<string, unknown>): Array<[string, string]> {
  return Object.entries(parsed).flatMap(([name, value]): Array<[string, string]> => {
    if (typeof value !== "object" || value === null) return [[JSON.stringify(["", name]), String(value)]];
    return Object.entries(value).map(([key, inner]) => [JSON.stringify([name, key]), String(inner)]);
  });
}

test("what was found is shown without characters that a terminal obeys", () => {
  expect(parseConf("a\u007f\u009b2J\u2028b").skipped).toEqual([
    { section: "", line: 1, expected: "key=value", found: '"a\\u007f\\u009b2J" and no "="' },
  ]);
});

describe("decodeConf", () => {
  test.each([
    ["too large", new Uint8Array(confMaxBytes + 1), "a larger one"],
    ["UTF-16 little-endian", Buffer.from("\uFEFFa=1", "utf16le"), "UTF-16"],
    ["UTF-16 big-endian", Buffer.from([0xfe, 0xff, 0, 0x61]), "UTF-16"],
    ["binary", Buffer.from([0x7f, 0x45, 0x4c, 0x46, 0]), "binary data (a NUL byte)"],
  ])("%s", (_name, bytes, found) => {
    expect(decodeConf(bytes)).toMatchObject({ found });
  });

  test("a comment in another encoding harms nobody", () => {
    const gbk = Buffer.concat([
      Buffer.from("# "),
      Buffer.from([0xbd, 0xda, 0xb5, 0xe3]),
      Buffer.from("\na=1"),
    ]);
    const decoded = decodeConf(gbk);
    expect("text" in decoded && pairs(decoded.text)).toEqual([["", "a", "1", 2]]);
  });
});
