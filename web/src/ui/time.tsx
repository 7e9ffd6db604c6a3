import { useState } from "react";
import { day, daytime, isToday, local, millisOf, utc } from "./format";

/** A moment in the browser's time zone, which the header names: the time of day, and the date unless it is today. UTC is in the title. Text that is no time is shown as it is. */
export function Time({ at, millis = false }: { at: string; millis?: boolean }) {
  if (utc(at) === "") return <>{at}</>;
  return (
    <time dateTime={at} title={`${local(at, true)} local, ${utc(at)}`}>
      {!isToday(at) && <span className="day">{day(at)} </span>}
      {daytime(at, millis)}
    </time>
  );
}

interface FieldProps {
  id?: string;
  /** Milliseconds since 1970; null or NaN if there is no time yet. */
  ms: number | null;
  /** Takes the time, or null if the field was emptied. */
  onChange: (ms: number | null) => void;
}

const advice = "Write a local time such as 2026-11-28 14:03:07.123";

/** A field for a moment in local time, in the form of all times: 2026-11-28 14:03:07.123. The browser's own field would follow the browser's language, which may have 12 hours. */
export function TimeField({ id, ms, onChange }: FieldProps) {
  const outer = ms === null || Number.isNaN(ms) ? "" : local(ms, true);
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
      ref={(field) => field?.setCustomValidity(wrong ? advice : "")} // a form with a wrong time is not sent
      title={wrong ? advice : text === "" ? undefined : utc(millisOf(text) ?? 0)}
      onChange={(e) => {
        const next = millisOf(e.target.value);
        setTyped({ text: e.target.value, ms: next ?? ms });
        if (next !== null || e.target.value.trim() === "") onChange(next);
      }}
    />
  );
}
