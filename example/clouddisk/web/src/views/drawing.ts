import { NoPreview } from "../no-preview.js";

/** An SVG as text; one of this size is drawn within a second. */
export const drawingMaxBytes = 4 << 20;
/** Elements it comes to once all that refers to others has been put in. */
const elementsMax = 100_000;

/** Drawing programs declare a few addresses of theirs. */
const doctypeMax = 16_384;

export interface Drawing {
  widthPx: number;
  heightPx: number;
}

interface Element {
  name: string;
  attributes: ReadonlyMap<string, string>;
  children: Element[];
}

/**
 * What an SVG is: how large, and whether a browser can draw it. A few lines can refer to one another so that they come to
 * billions of elements, and hold up the tab. It is read here, and not by the browser: that would apply styles, which the page's
 * policy forbids, and put entities in. Throws NoPreview.
 */
export function inspectDrawing(text: string): Drawing {
  const root = parse(text);
  if (localOf(root.name) !== "svg") throw new NoPreview("broken");
  if (costOf(root) > elementsMax) throw new NoPreview("complex");
  const box = root.attributes.get("viewBox")?.trim() ?? "";
  const [, , boxWidth = 0, boxHeight = 0] = box.split(/[\s,]+/).map(Number);
  const [wide, high] = boxWidth > 0 && boxHeight > 0 ? [boxWidth, boxHeight] : [300, 150];
  const widthPx = lengthOf(root.attributes.get("width"));
  const heightPx = lengthOf(root.attributes.get("height"));
  if (widthPx !== undefined) return { widthPx, heightPx: heightPx ?? (widthPx * high) / wide };
  if (heightPx !== undefined) return { widthPx: (heightPx * wide) / high, heightPx };
  return { widthPx: wide, heightPx: high };
}

function localOf(name: string): string {
  return name.slice(name.indexOf(":") + 1);
}

/** Undefined: in per cent, or none. */
function lengthOf(text: string | undefined): number | undefined {
  const [, digits, unit = ""] = /^\s*([\d.]+)\s*(px|pt|mm|cm|in)?\s*$/.exec(text ?? "") ?? [];
  const px = Number(digits) * ({ pt: 4 / 3, mm: 96 / 25.4, cm: 96 / 2.54, in: 96 }[unit] ?? 1);
  return px > 0 && Number.isFinite(px) ? px : undefined;
}

/** What stands between these two is no element. */
const skipped = [
  ["<!--", "-->"],
  ["<![CDATA[", "]]>"],
  ["<?", "?>"],
] as const;

/** The root, in one pass; each character is looked at a few times at most. */
function parse(text: string): Element {
  const open: Element[] = [];
  let root: Element | undefined;
  for (let at = text.indexOf("<"); at >= 0; at = text.indexOf("<", at)) {
    const skip = skipped.find(([start]) => text.startsWith(start, at));
    if (skip !== undefined) {
      at = endOf(text, skip[1], at);
      continue;
    }
    if (text.startsWith("<!", at)) {
      at = endOfDoctype(text, at);
      continue;
    }
    const end = endOfTag(text, at);
    const tag = text.slice(at + 1, end - 1);
    at = end;
    if (tag.startsWith("/")) {
      if (open.pop()?.name !== tag.slice(1).trim()) throw new NoPreview("broken");
      continue;
    }
    const element = elementOf(tag);
    const above = open.at(-1);
    if (above !== undefined) above.children.push(element);
    else if (root !== undefined) throw new NoPreview("broken");
    else root = element;
    if (!tag.endsWith("/")) open.push(element);
  }
  if (root === undefined || open.length > 0) throw new NoPreview("broken");
  return root;
}

function endOf(text: string, mark: string, from: number): number {
  const at = text.indexOf(mark, from);
  if (at < 0) throw new NoPreview("broken");
  return at + mark.length;
}

function endOfTag(text: string, from: number): number {
  let quote = "";
  for (let at = from + 1; at < text.length; at++) {
    const character = text.charAt(at);
    if (quote !== "") {
      if (character === quote) quote = "";
    } else if (character === '"' || character === "'") quote = character;
    else if (character === ">") return at + 1;
  }
  throw new NoPreview("broken");
}

/** Entities that bring elements or other entities can come to any number of them. */
function endOfDoctype(text: string, from: number): number {
  const bracket = text.indexOf("[", from);
  const plain = endOf(text, ">", from);
  if (bracket < 0 || bracket > plain) return plain;
  const end = endOf(text, "]", bracket);
  if (end - bracket > doctypeMax) throw new NoPreview("complex");
  for (const [, , value = ""] of text.slice(bracket, end).matchAll(/<!ENTITY[^"'>]*(["'])(.*?)\1/gs)) {
    if (/[<&]/.test(value)) throw new NoPreview("complex");
  }
  return endOf(text, ">", end);
}

function elementOf(tag: string): Element {
  const name = /^[^\s/>]*/.exec(tag)?.[0] ?? "";
  const attributes = new Map<string, string>();
  for (const [, key = "", , value = ""] of tag
    .slice(name.length)
    .matchAll(/\s([^\s=/]+)\s*=\s*(["'])(.*?)\2/gs)) {
    attributes.set(key, value);
  }
  return { name, attributes, children: [] };
}

/** Each element once for every time it is drawn. What refers to itself is drawn by nobody. */
function costOf(root: Element): number {
  const byId = idsOf(root);
  const costs = new Map<Element, number>();
  const open = new Set<Element>();
  // A stack of its own: a drawing may be deeper than the calls a browser allows.
  const stack: Array<{ element: Element; used: Element[]; next: number; sum: number }> = [];
  const enter = (element: Element): void => {
    open.add(element);
    const used = [...element.children, ...referred(element, byId)];
    stack.push({ element, used, next: 0, sum: 1 });
  };
  enter(root);
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const used = top.used[top.next];
    if (used === undefined) {
      costs.set(top.element, top.sum);
      open.delete(top.element);
      stack.pop();
      const above = stack.at(-1);
      if (above !== undefined) above.sum = Math.min(above.sum + top.sum, elementsMax + 1);
      continue;
    }
    top.next++;
    const known = costs.get(used);
    if (known !== undefined) top.sum = Math.min(top.sum + known, elementsMax + 1);
    else if (!open.has(used)) enter(used);
  }
  return costs.get(root) ?? 0;
}

function idsOf(root: Element): Map<string, Element> {
  const byId = new Map<string, Element>();
  const rest = [root];
  for (let element = rest.pop(); element !== undefined; element = rest.pop()) {
    const id = element.attributes.get("id");
    if (id !== undefined) byId.set(id, element);
    for (const child of element.children) rest.push(child);
  }
  return byId;
}

/** By `href`, or by `url(#...)` in any attribute: patterns, masks, clips, markers, filters. */
function referred({ attributes }: Element, byId: ReadonlyMap<string, Element>): Element[] {
  const ids: string[] = [];
  for (const [key, value] of attributes) {
    if (localOf(key) === "href" && value.startsWith("#")) ids.push(value.slice(1));
    for (const [, id = ""] of value.matchAll(/url\(\s*["']?#([^)"']+)/g)) ids.push(id);
  }
  return ids.map((id) => byId.get(id)).filter((one) => one !== undefined);
}
