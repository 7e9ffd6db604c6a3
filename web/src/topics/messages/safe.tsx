import { hex } from "../../ui/format";

/**
 * The text of messages. Characters that are invisible or reverse the text direction are shown by number. Markup is
 * escaped by construction.
 */
const hidden = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb]|[\udb40][\udc00-\udfff]/g;

const number = (c: string) => `⟨U+${hex(c.codePointAt(0) ?? 0, 4).toUpperCase()}⟩`;

/** The text with every hidden character by its number. */
export function visible(text: string): string {
  return text.replace(hidden, number);
}

const most = 400; // hidden characters that get an element each

/** The text with hidden characters marked; its direction does not affect the text around it. */
export function Safe({ text }: { text: string }) {
  const parts: React.ReactNode[] = [];
  let last = 0;
  let n = 0;
  for (const m of text.matchAll(hidden)) {
    if (++n > most) break;
    parts.push(text.slice(last, m.index), <mark key={m.index}>{number(m[0])}</mark>);
    last = m.index + m[0].length;
  }
  return (
    <bdi>
      {parts}
      {n > most ? visible(text.slice(last)) : text.slice(last)}
    </bdi>
  );
}
