import { useState, useSyncExternalStore } from "react";

export type Theme = "auto" | "light" | "dark";
const storageKey = "smartlb.theme";
const order: Theme[] = ["auto", "light", "dark"];

function current(): Theme {
  const t = document.documentElement.dataset.theme;
  return t === "light" || t === "dark" ? t : "auto";
}

function apply(t: Theme): void {
  if (t === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = t;
  try {
    localStorage.setItem(storageKey, t);
  } catch {
    // Without storage the choice lasts as long as the page.
  }
}

/** The theme and a step to the next: the system's, light, dark. */
export function useTheme(): [Theme, () => void] {
  const [theme, set] = useState(current);
  return [
    theme,
    () => {
      const next = order[(order.indexOf(theme) + 1) % order.length] ?? "auto";
      apply(next);
      set(next);
    },
  ];
}

const dark = () => matchMedia("(prefers-color-scheme: dark)");

function onScheme(f: () => void): () => void {
  const chosen = new MutationObserver(f);
  chosen.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  const system = dark();
  system.addEventListener("change", f);
  return () => {
    chosen.disconnect();
    system.removeEventListener("change", f);
  };
}

/** The current colour scheme, chosen here or by the system. A canvas has no CSS, so it must be drawn again when the scheme changes. */
export function useScheme(): "light" | "dark" {
  return useSyncExternalStore(onScheme, () => {
    const theme = current();
    return theme === "auto" ? (dark().matches ? "dark" : "light") : theme;
  });
}
