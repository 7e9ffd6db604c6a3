import { clock } from "./format";

/** A day and a time of day, local; where there is little room the day is left to the title, with UTC. */
export function Day({ at }: { at: string }) {
  const [day, time] = new Date(at).toLocaleString("sv").split(" ");
  return (
    <time dateTime={at} title={`${day} ${time}, ${new Date(at).toISOString()} (UTC)`}>
      <span className="day">{day} </span>
      {time}
    </time>
  );
}

/** A moment in local time, with UTC in the title. */
export function Time({ at, millis = false }: { at: string; millis?: boolean }) {
  const t = new Date(at);
  return (
    <time dateTime={at} title={`${t.toISOString()} (UTC)`}>
      {clock(t, millis)}
    </time>
  );
}
