import { useEffect, useState } from "react";

/** Browsers give the clipboard only to pages that came over HTTPS or from this machine. On other pages, select a text and copy it. */
async function write(text: string): Promise<void> {
  if (window.isSecureContext) return navigator.clipboard.writeText(text);
  const box = document.createElement("textarea");
  box.value = text;
  (document.querySelector("dialog[open]") ?? document.body).append(box); // nothing outside an open modal dialog can be selected
  box.select();
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- there is no other way without a secure context
  const done = document.execCommand("copy");
  box.remove();
  if (!done) throw new Error("refused");
}

/** Copies a text, which may have to be loaded first, and confirms it for a moment. */
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
