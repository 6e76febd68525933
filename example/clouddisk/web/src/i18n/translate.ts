import { type Dictionary, en, type Key } from "./en.js";
import { zh } from "./zh.js";

export type Language = "en" | "zh";
export const dictionaries: Readonly<Record<Language, Dictionary>> = { en, zh };

export type Parameters = Readonly<Record<string, string | number>>;
export type Translate = (key: Key, parameters?: Parameters) => string;

/** A name in a parameter stays as it is, braces and all. */
export function translator(language: Language): Translate {
  const dictionary = dictionaries[language];
  return (key, parameters = {}) =>
    dictionary[key].replace(/\{(\w+)\}/g, (whole, name: string) =>
      Object.hasOwn(parameters, name) ? String(parameters[name]) : whole,
    );
}

/** The first language the browser asks for that there is. */
export function chooseLanguage(wanted: readonly string[]): Language {
  for (const one of wanted) {
    const code = one.toLowerCase().split("-")[0];
    if (code === "zh" || code === "en") return code;
  }
  return "en";
}
