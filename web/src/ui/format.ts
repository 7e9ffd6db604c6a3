/** Numbers and times as people read them. Unknown values are a dash, never 0. */

export const dash = "–";

/** Milliseconds with three significant digits: 0.85, 18.8, 375, 1.2 s. */
export function ms(v: number | null | undefined): string {
  if (v === null || v === undefined || v <= 0) return dash;
  if (v >= 10_000) return `${(v / 1000).toFixed(0)} s`;
  if (v >= 1000) return `${(v / 1000).toFixed(1)} s`;
  return v >= 99.95 ? v.toFixed(0) : v >= 9.995 ? v.toFixed(1) : v.toFixed(2);
}

/** An estimated latency, a quantile or an average, in ms: two significant digits, as no more are true: 0.85, 8.5, 19, 110, 1.2 s. */
export function latency(v: number | null | undefined): string {
  if (v === null || v === undefined || v <= 0) return dash;
  if (v >= 9_950) return `${Number((v / 1000).toPrecision(2))} s`;
  if (v >= 995) return `${(v / 1000).toFixed(1)} s`;
  return v >= 9.95 ? String(Number(v.toPrecision(2))) : v >= 0.995 ? v.toFixed(1) : v.toFixed(2);
}

/** A latency with its unit. */
export const latencyMs = (v: number | null | undefined): string => {
  const text = latency(v);
  return text === dash || text.endsWith(" s") ? text : `${text} ms`;
};

export function rate(v: number): string {
  if (v >= 100_000) return `${(v / 1000).toFixed(0)}k`;
  if (v >= 10_000) return `${(v / 1000).toFixed(1)}k`;
  return v >= 99.95 || v === 0 ? v.toFixed(0) : v.toFixed(1);
}

/** A ratio as percent; what is not zero never reads as zero. */
export function percent(v: number): string {
  const p = v * 100;
  if (p > 0 && p < 0.1) return "<0.1 %";
  if (p > 99.9 && p < 100) return ">99.9 %";
  return `${p === 0 || p >= 99.95 ? p.toFixed(0) : p.toFixed(1)} %`;
}

export function factor(v: number): string {
  if (!Number.isFinite(v)) return dash;
  if (v >= 10_000) return `${(v / 1000).toFixed(0)}k`;
  return v >= 100 ? v.toFixed(0) : v >= 10 ? v.toFixed(1) : v.toFixed(2);
}

/** An age: 30 ms, 2.1 s, 4 min, 3 h. */
export function age(msec: number): string {
  if (msec < 0) return "0 s";
  if (msec < 60_000) return `${(msec / 1000).toFixed(1)} s`;
  if (msec < 3_600_000) return `${Math.floor(msec / 60_000)} min`;
  if (msec < 172_800_000) return `${Math.floor(msec / 3_600_000)} h`;
  return `${Math.floor(msec / 86_400_000)} d`;
}

const group = new Intl.NumberFormat("en", { useGrouping: true });
export const count = (v: number): string => group.format(v).replaceAll(",", "\u202f");

export function bytes(n: number): string {
  if (n < 1024) return `${n} B`;
  if (n < 1024 * 1024) return `${(n / 1024).toFixed(1)} KiB`;
  if (n < 1024 ** 3) return `${(n / 1024 ** 2).toFixed(1)} MiB`;
  return n < 1024 ** 4 ? `${(n / 1024 ** 3).toFixed(1)} GiB` : `${(n / 1024 ** 4).toFixed(1)} TiB`;
}

const two = (n: number) => String(n).padStart(2, "0");

/** Local date and time as ISO 8601 writes them, with a blank between: 2026-11-28 14:03:07.123. */
export function local(t: Date, millis = false): string {
  return `${String(t.getFullYear()).padStart(4, "0")}-${two(t.getMonth() + 1)}-${two(t.getDate())} ${daytime(t, millis)}`;
}

/** Local time, with the date where that is not today's. */
export function clock(t: Date, millis = false, now = new Date()): string {
  return isToday(t, now) ? daytime(t, millis) : local(t, millis);
}

export const isToday = (t: Date, now = new Date()): boolean => t.toDateString() === now.toDateString();

/** The time zone of all times shown: UTC, UTC+01:00, UTC-03:30. */
export function zone(t = new Date()): string {
  const minutes = -t.getTimezoneOffset();
  if (minutes === 0) return "UTC";
  const size = Math.abs(minutes);
  return `UTC${minutes < 0 ? "-" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

const written = /^(\d{4})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?\s*(Z|UTC|[+-]\d\d:?\d\d)?$/;

/** Milliseconds since 1970 of a written moment: local unless it ends with a zone; null where it is none. */
export function millisOf(text: string): number | null {
  const m = written.exec(text.trim());
  if (!m) return null;
  const [year, month, day, hour, minute, second] = [1, 2, 3, 4, 5, 6].map((n) => Number(m[n] ?? 0)) as [number, number, number, number, number, number];
  const milli = Number((m[7] ?? "").padEnd(3, "0").slice(0, 3));
  const at = new Date(0);
  at.setUTCFullYear(year, month - 1, day);
  at.setUTCHours(hour, minute, second, milli);
  if (at.getUTCMonth() !== month - 1 || at.getUTCDate() !== day || hour > 23 || minute > 59 || second > 59) return null;
  if (m[8]) {
    const [, sign = "+", h = "0", min = "0"] = /^([+-])(\d\d):?(\d\d)$/.exec(m[8]) ?? [];
    return at.getTime() - (sign === "-" ? -1 : 1) * (Number(h) * 60 + Number(min)) * 60_000;
  }
  const here = new Date(0);
  here.setFullYear(year, month - 1, day);
  here.setHours(hour, minute, second, milli);
  return here.getTime();
}

/** Local time of day with milliseconds on request. */
export function daytime(t: Date, millis = false): string {
  const s = `${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}`;
  return millis ? `${s}.${String(t.getMilliseconds()).padStart(3, "0")}` : s;
}

/** A duration setting in ms as a person says it, for topic settings. */
export function span(msec: number): string {
  const units: [number, string][] = [
    [86_400_000, "d"],
    [3_600_000, "h"],
    [60_000, "min"],
    [1000, "s"],
  ];
  for (const [unit, name] of units) {
    if (msec >= unit && msec % unit === 0) return `${msec / unit} ${name}`;
  }
  return `${msec} ms`;
}
