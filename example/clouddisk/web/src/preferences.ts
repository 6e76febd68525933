import { chooseLanguage, type Language } from "./i18n/translate.js";

export type Theme = "auto" | "light" | "dark";

function read(key: string): string | null {
  try {
    return localStorage.getItem(`clouddisk.${key}`);
  } catch {
    // Storage that is switched off: the defaults.
    return null;
  }
}

function write(key: string, value: string): void {
  try {
    localStorage.setItem(`clouddisk.${key}`, value);
  } catch {
    // It lasts for this visit.
  }
}

export function loadTheme(): Theme {
  const stored = read("theme");
  return stored === "light" || stored === "dark" ? stored : "auto";
}

export function applyTheme(theme: Theme): void {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  write("theme", theme);
}

export function loadLanguage(): Language {
  const stored = read("language");
  return stored === "en" || stored === "zh" ? stored : chooseLanguage(navigator.languages);
}

export function applyLanguage(language: Language): void {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  write("language", language);
}
