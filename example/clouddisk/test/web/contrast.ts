import type { Page } from "playwright-core";

/** A text on the page, and how it stands out from what is behind it. */
export interface Contrast {
  text: string;
  ratio: number;
  colours: string;
}

/**
 * Runs in the page. Colours are drawn on a canvas to know what they come to, transparent ones and those of gradients too;
 * of several backgrounds the worst counts. Controls that are switched off are left out, as WCAG does.
 */
const measure = String.raw`() => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, bottom) => top.slice(0, 3).map((value, at) => value * top[3] + bottom[at] * (1 - top[3]));
  const light = (colour) => {
    const [r, g, b] = colour.map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratioOf = (one, other) => {
    const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const backgroundsOf = (element) => {
    if (element === null) return [[255, 255, 255]];
    const style = getComputedStyle(element);
    const stops = style.backgroundImage.includes("gradient") ? style.backgroundImage.match(/rgba?\([^)]*\)/g) : null;
    if (stops !== null) return stops.map((stop) => rgba(stop).slice(0, 3));
    const own = rgba(style.backgroundColor);
    if (own[3] === 1) return [own.slice(0, 3)];
    const parent = element.matches("dialog, .menu, .toasts, .uploads, .drop") ? null : element.parentElement;
    return backgroundsOf(parent).map((behind) => over(own, behind));
  };
  const found = [];
  const add = (text, element, colour) => {
    for (const behind of backgroundsOf(element)) {
      const front = over(rgba(colour), behind);
      const colours = [front, behind].map((one) => one.map(Math.round).join(",")).join(" on ");
      found.push({ text, ratio: Math.round(ratioOf(front, behind) * 100) / 100, colours });
    }
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = texts.nextNode(); node !== null; node = texts.nextNode()) {
    const element = node.parentElement;
    const text = node.data.trim();
    const shown = element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
    if (text === "" || !shown || element.closest(".hidden, :disabled, noscript, script")) continue;
    add(text.slice(0, 40), element, getComputedStyle(element).color);
  }
  for (const input of document.querySelectorAll("input")) {
    if (!input.checkVisibility()) continue;
    if (input.placeholder !== "") add(input.placeholder, input, getComputedStyle(input, "::placeholder").color);
    if (/text|password|search/.test(input.type)) add("what is typed", input, getComputedStyle(input).color);
  }
  return found;
}`;

/** Texts that are hard to read: beneath 4.5 to 1. */
export async function faintTexts(page: Page): Promise<Contrast[]> {
  const all = (await page.evaluate(`(${measure})()`)) as Contrast[];
  if (all.length < 5) throw new Error("there is hardly any text on the page");
  return all.filter(({ ratio }) => ratio < 4.5);
}
