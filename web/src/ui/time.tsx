import { useState } from "react";
import { daytime, isToday, local, millisOf } from "./format";

/** A moment in the browser's time zone, which the header names: the time of day, and the date once it is older than today. UTC is in the title. */
export function Time({ at, millis = false }: { at: string; millis?: boolean }) {
  const t = new Date(at);
  if (Number.isNaN(t.getTime())) return <>{at}</>;
  return (
    <time dateTime={at} title={`${local(t, true)} local, ${t.toISOString()}`}>
      {!isToday(t) && <span className="day">{local(t).slice(0, 10)} </span>}
      {daytime(t, millis)}
    </time>
  );
}

interface FieldProps {
  id?: string;
  /** Milliseconds since 1970; null or NaN: nothing yet. */
  ms: number | null;
  /** Null where the text is no time. */
  onChange: (ms: number | null) => void;
}

/** A field for a moment in local time, written as everywhere: 2026-11-28 14:03:07.123. A platform's own field would follow the browser's language, with 12 hours in some. */
export function TimeField({ id, ms, onChange }: FieldProps) {
  const outer = ms === null || Number.isNaN(ms) ? "" : local(new Date(ms), true);
  const [typed, setTyped] = useState<{ text: string; ms: number | null }>({ text: outer, ms });
  const text = Object.is(typed.ms, ms) ? typed.text : outer;
  const wrong = text !== "" && millisOf(text) === null;
  return (
    <input
      id={id}
      type="text"
      className="moment"
      spellCheck={false}
      autoComplete="off"
      placeholder="2026-11-28 14:03:07.123"
      value={text}
      aria-invalid={wrong}
      title={wrong ? "Write a local time such as 2026-11-28 14:03:07.123" : text === "" ? undefined : new Date(millisOf(text) ?? 0).toISOString()}
      onChange={(e) => {
        const next = millisOf(e.target.value);
        setTyped({ text: e.target.value, ms: next ?? ms });
        if (next !== null || e.target.value.trim() === "") onChange(next);
      }}
    />
  );
}
