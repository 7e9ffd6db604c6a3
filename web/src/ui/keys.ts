import { useEffect, useEffectEvent } from "react";

/** Whether the key belongs to a field that is being typed in. */
function typing(e: KeyboardEvent): boolean {
  const t = e.target;
  return t instanceof HTMLElement && (t.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(t.tagName));
}

const chordTime = 1_500; // ms between the presses of g and of its second key, however late the page gets to them

/**
 * Page-wide keys: names are single keys ("?") or chords ("g o"). Keys with a modifier and keys typed into a field are
 * ignored, except Escape.
 */
export function useKeys(keys: Record<string, () => void>): void {
  const actionOf = useEffectEvent((chord: string, key: string) => keys[chord] ?? keys[key]);
  useEffect(() => {
    let first = "";
    let at = 0;
    const down = (e: KeyboardEvent) => {
      if (e.ctrlKey || e.metaKey || e.altKey || e.isComposing) return;
      if (typing(e) && e.key !== "Escape") return;
      if (document.querySelector("dialog[open]")) return; // a modal dialog has the keys
      const chord = e.timeStamp - at < chordTime ? `${first} ${e.key}` : "";
      const run = actionOf(chord, e.key);
      first = e.key;
      at = e.timeStamp;
      if (!run) return;
      e.preventDefault();
      first = "";
      run();
    };
    addEventListener("keydown", down);
    return () => removeEventListener("keydown", down);
  }, []);
}

/** Puts the cursor into the view's filter. */
export function focusFilter(): void {
  const input = document.querySelector<HTMLInputElement>("main input[type=search]");
  input?.focus();
  input?.select();
}
