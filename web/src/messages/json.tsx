import { Fragment, useMemo } from "react";
import type { Message } from "../api/client";
import { bytes } from "../ui/format";

/** The value indented, where it is whole JSON; null otherwise. */
export function pretty(m: Message): string | null {
  if (m.binary || m.tombstone || m.cut) return null;
  try {
    return JSON.stringify(JSON.parse(m.value), null, 2);
  } catch {
    return null;
  }
}

// A string with its colon is a key. JSON.stringify's output has no other forms.
const token = /("(?:[^"\\]|\\.)*")(\s*:)?|(-?\d[\d.eE+-]*)|\b(true|false|null)\b/g;

/** A value as people read it: JSON indented and coloured, anything else as it came. */
export function Value({ m }: { m: Message }) {
  const text = useMemo(() => pretty(m), [m]);
  if (m.tombstone) return <p className="muted">No value (a tombstone).</p>;
  return (
    <>
      {m.cut && (
        <p className="warn-text">
          The first 64 KiB of {bytes(m.size)}. <code>smartlb kafka consume {m.topic} -o json</code> prints the whole.
        </p>
      )}
      {m.binary && <p className="warn-text">Not text: shown in base64.</p>}
      <pre className="value" tabIndex={0} aria-label="Value">
        {text === null ? m.value : <Coloured text={text} />}
      </pre>
    </>
  );
}

function Coloured({ text }: { text: string }) {
  const out: React.ReactNode[] = [];
  let last = 0;
  for (const match of text.matchAll(token)) {
    const [whole, string, colon, number, word] = match;
    if (match.index > last) out.push(text.slice(last, match.index));
    last = match.index + whole.length;
    if (string !== undefined) {
      out.push(
        <Fragment key={match.index}>
          <span className={colon === undefined ? "j-string" : "j-key"}>{string}</span>
          {colon}
        </Fragment>,
      );
    } else {
      out.push(
        <span key={match.index} className={number === undefined ? "j-word" : "j-number"}>
          {number ?? word}
        </span>,
      );
    }
  }
  out.push(text.slice(last));
  return out;
}
