import { createContext } from "preact";
import { useContext } from "preact/hooks";
import { type Language, type Translate, translator } from "./translate.js";

export interface I18n {
  language: Language;
  t: Translate;
}

export const I18nContext = createContext<I18n>({ language: "en", t: translator("en") });

export function useI18n(): I18n {
  return useContext(I18nContext);
}
