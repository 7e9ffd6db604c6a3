import { useEffect, useState } from "react";

/** Copies a text and says so for a moment. */
export function Copy({ text, children }: { text: string | (() => string); children: string }) {
  const [said, setSaid] = useState("");
  useEffect(() => {
    if (!said) return;
    const t = setTimeout(() => setSaid(""), 2_000);
    return () => clearTimeout(t);
  }, [said]);
  const copy = () =>
    navigator.clipboard.writeText(typeof text === "string" ? text : text()).then(
      () => setSaid("Copied"),
      () => setSaid("The browser refused"),
    );
  return (
    <button type="button" onClick={copy} aria-live="polite">
      {said || children}
    </button>
  );
}
