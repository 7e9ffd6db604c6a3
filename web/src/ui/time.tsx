import { clock } from "./format";

/** A moment in local time, with UTC in the title. */
export function Time({ at, millis = false }: { at: string; millis?: boolean }) {
  const t = new Date(at);
  return (
    <time dateTime={at} title={`${t.toISOString()} (UTC)`}>
      {clock(t, millis)}
    </time>
  );
}
