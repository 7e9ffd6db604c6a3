import { useEffect, useState } from "react";

/** Browsers have a clipboard for pages over HTTPS and of this machine only; the others select a text and copy that. */
async function write(text: string): Promise<void> {
  if (window.isSecureContext) return navigator.clipboard.writeText(text);
  const box = document.createElement("textarea");
  box.value = text;
  (document.querySelector("dialog[open]") ?? document.body).append(box); // behind a modal dialog nothing can be selected
  box.select();
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- there is no other way without a secure context
  const done = document.execCommand("copy");
  box.remove();
  if (!done) throw new Error("refused");
}

/** Copies a text, which may not be known yet, and says so for a moment. */
export function Copy({ text, children }: { text: string | (() => string) | undefined; children: string }) {
  const [said, setSaid] = useState("");
  useEffect(() => {
    if (!said) return;
    const t = setTimeout(() => setSaid(""), 2_000);
    return () => clearTimeout(t);
  }, [said]);
  const copy = () =>
    write(typeof text === "function" ? text() : (text ?? "")).then(
      () => setSaid("Copied"),
      () => setSaid("The browser refused"),
    );
  return (
    <button type="button" disabled={text === undefined} onClick={() => void copy()} aria-live="polite">
      {said || children}
    </button>
  );
}
