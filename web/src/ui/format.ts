import type { Rule } from "../api/client";

/**
 * Numbers, units and times as text, and back. No other file in src formats them; ESLint checks that.
 * A value that is unknown (null, undefined or not a finite number) is a dash, never 0.
 */

export const dash = "–";

type Value = number | null | undefined;

const isKnown = (v: Value): v is number => typeof v === "number" && Number.isFinite(v);

/** A number in words of digits: groups of three with a narrow no-break space between them. */
const grouped = new Intl.NumberFormat("en", { useGrouping: true });

// Numbers

/** A number of things: 1 234 567. */
export const count = (v: Value): string => (isKnown(v) ? grouped.format(v).replaceAll(",", "\u202f") : dash);

/** A number of records for the axis of a chart: 9 999, 12.3k. */
export const shortCount = (v: Value): string => (isKnown(v) && v < 10_000 ? count(Math.round(v)) : rate(v));

/** A number per second, without that unit: 0.2, 99.9, 375, 12.3k. */
export function rate(v: Value): string {
  if (!isKnown(v)) return dash;
  if (v >= 99_950) return `${(v / 1000).toFixed(0)}k`;
  if (v >= 10_000) return `${(v / 1000).toFixed(1)}k`;
  return v >= 99.95 || v === 0 ? v.toFixed(0) : v.toFixed(1);
}

/** A ratio (0..1) as percent with one decimal; a ratio that is not 0 or 1 never reads as 0 or 100 %. */
export function percent(v: Value): string {
  if (!isKnown(v)) return dash;
  const p = v * 100;
  if (p > 0 && p < 0.1) return "<0.1 %";
  if (p > 99.9 && p < 100) return ">99.9 %";
  return `${p === 0 || p >= 99.95 ? p.toFixed(0) : p.toFixed(1)} %`;
}

/** A ratio (0..1) as percent without decimals, for values that are not measured so exactly: trust, warm-up. */
export const wholePercent = (v: Value): string => (isKnown(v) ? `${(v * 100).toFixed(0)} %` : dash);

/** A factor or a cost with three significant digits: 1.08, 12.3, 391, 45k. */
export function factor(v: Value): string {
  if (!isKnown(v)) return dash;
  if (v >= 10_000) return `${(v / 1000).toFixed(0)}k`;
  return v >= 99.95 ? v.toFixed(0) : v >= 9.995 ? v.toFixed(1) : v.toFixed(2);
}

/** A health score, 0.00 to 1.00. */
export const score = (v: Value): string => (isKnown(v) ? v.toFixed(2) : dash);

/** v rounded to a number of significant digits. */
export const significant = (v: number, digits: number): number => Number(v.toPrecision(digits));

/** A value with a unit that the API names; a ratio is percent. */
export function quantity(v: Value, unit = ""): string {
  if (!isKnown(v)) return dash;
  if (unit === "ratio") return percent(v);
  return `${count(Number.isInteger(v) || Math.abs(v) >= 1000 ? Math.round(v) : significant(v, 3))}${unit && ` ${unit}`}`;
}

/** A number in hexadecimal with leading zeros: 0a, 0000ff10. */
export const hex = (v: number, digits: number): string => v.toString(16).padStart(digits, "0");

// Sizes

/** A size: 1023 B, 11.0 MiB. Negative is unknown. */
export function bytes(v: Value): string {
  if (!isKnown(v) || v < 0) return dash;
  if (v < 1023.5) return `${Math.round(v)} B`;
  for (const [unit, worth] of [["KiB", 2 ** 10], ["MiB", 2 ** 20], ["GiB", 2 ** 30], ["TiB", 2 ** 40]] as const) {
    if (v < 1023.95 * worth) return `${(v / worth).toFixed(1)} ${unit}`;
  }
  return `${(v / 2 ** 50).toFixed(1)} PiB`;
}

// Durations, in milliseconds

/** A measured duration with three significant digits: 0.85 ms, 18.8 ms, 375 ms, 1.2 s. Negative is unknown. */
export function duration(ms: Value): string {
  if (!isKnown(ms) || ms < 0) return dash;
  if (ms >= 9_950) return `${(ms / 1000).toFixed(0)} s`;
  if (ms >= 999.5) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms >= 99.95 || ms === 0 ? ms.toFixed(0) : ms >= 9.995 ? ms.toFixed(1) : ms.toFixed(2)} ms`;
}

/**
 * An estimated latency (a quantile or an average) with two significant digits, because no more are exact: 0.85, 8.5,
 * 19, 110; the unit stands in the column's title. From one second on it has its own: 1.2 s. 0 is unknown.
 */
export function latency(ms: Value): string {
  if (!isKnown(ms) || ms <= 0) return dash;
  if (ms >= 9_950) return `${significant(ms / 1000, 2)} s`;
  if (ms >= 995) return `${(ms / 1000).toFixed(1)} s`;
  return ms >= 9.95 ? String(significant(ms, 2)) : ms >= 0.995 ? ms.toFixed(1) : ms.toFixed(2);
}

/** A latency with its unit: 110 ms. */
export const latencyMs = (ms: Value): string => {
  const text = latency(ms);
  return text === dash || text.endsWith(" s") ? text : `${text} ms`;
};

/** How long ago something was: 2.1 s, 4 min, 3 h, 2 d. Negative is 0 s: two clocks differ. */
export function age(ms: Value): string {
  if (!isKnown(ms)) return dash;
  if (ms < 0) return "0 s";
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 3_600_000) return `${Math.max(1, Math.floor(ms / 60_000))} min`;
  if (ms < 172_800_000) return `${Math.floor(ms / 3_600_000)} h`;
  return `${Math.floor(ms / 86_400_000)} d`;
}

/** A configured duration, exact: 30 s, 1.5 h, 86400001 ms. */
export const span = (ms: Value): string => {
  if (!isKnown(ms)) return dash;
  const { number, unit } = splitUnit("time", String(ms));
  return `${number} ${unit}`;
};

// Times. A moment is milliseconds since 1970, or text with a zone as the API sends it.

export type Moment = number | string;

const two = (n: number) => String(n).padStart(2, "0");

const isTime = (t: Date) => !Number.isNaN(t.getTime());

const dateOf = (t: Date) => `${String(t.getFullYear()).padStart(4, "0")}-${two(t.getMonth() + 1)}-${two(t.getDate())}`;

const timeOf = (t: Date, millis: boolean) => `${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}${millis ? `.${String(t.getMilliseconds()).padStart(3, "0")}` : ""}`;

/** Local date: 2026-11-28. */
export function day(at: Moment): string {
  const t = new Date(at);
  return isTime(t) ? dateOf(t) : dash;
}

/** Local time of day, with milliseconds on request: 14:03:07.123. */
export function daytime(at: Moment, millis = false): string {
  const t = new Date(at);
  return isTime(t) ? timeOf(t, millis) : dash;
}

/** Local date and time as ISO 8601 writes them, with a blank between: 2026-11-28 14:03:07.123. */
export function local(at: Moment, millis = false): string {
  const t = new Date(at);
  return isTime(t) ? `${dateOf(t)} ${timeOf(t, millis)}` : dash;
}

/** Whether a moment is in the local day of now. */
export const isToday = (at: Moment, now: Moment = Date.now()): boolean => new Date(at).toDateString() === new Date(now).toDateString();

/** Local time, with the date if that is not today's. */
export const clock = (at: Moment, millis = false, now: Moment = Date.now()): string => (isToday(at, now) ? daytime(at, millis) : local(at, millis));

/** Local time of day for the axis of a chart: with seconds if the points are less than a minute apart. */
export const axisTime = (at: Moment, stepMs: number): string => (stepMs < 60_000 ? daytime(at) : daytime(at).slice(0, 5));

/** A moment in UTC as the API takes it, 2026-11-28T13:03:07.123Z; empty if it is none. */
export function utc(at: Moment): string {
  const t = new Date(at);
  return isTime(t) ? t.toISOString() : "";
}

/** The time zone of all times that the page shows, as an offset: UTC, UTC+01:00, UTC-03:30. */
export function zone(at: Moment = Date.now()): string {
  const minutes = -new Date(at).getTimezoneOffset();
  if (minutes === 0) return "UTC";
  const size = Math.abs(minutes);
  return `UTC${minutes < 0 ? "-" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

/** The name of that time zone: Europe/Berlin. */
export const zoneName = (): string => Intl.DateTimeFormat().resolvedOptions().timeZone;

const written = /^(\d{4})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?\s*(Z|UTC|[+-]\d\d:?\d\d)?$/;

/** Milliseconds since 1970 of a written moment, local unless it ends with a zone; null if it is none. */
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

// Values of Kafka's settings: the same text as the command line prints (internal/kafka/topic)

type Unit = [name: string, worth: number];

const times: Unit[] = [["d", 86_400_000], ["h", 3_600_000], ["min", 60_000], ["s", 1000], ["ms", 1]];
const sizes: Unit[] = [["TiB", 2 ** 40], ["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10], ["B", 1]];

const longest = "9223372036854775807"; // Kafka's largest number; a number of JavaScript cannot hold it

const formOf = (name: string): Rule["form"] => (/(^|\.)ms(\.max)?$/.test(name) ? "time" : /(^|\.)bytes$/.test(name) ? "size" : "text");

/** The units of a form of setting, largest first; none if the form has no unit. */
export const unitsOf = (form: Rule["form"]): Unit[] => (form === "time" ? times : form === "size" ? sizes : []);

/** The value of a setting by its name: "7 d", "11 MiB", "unlimited". A value that is no time or size is returned as it is. */
export function settingValue(name: string, value: string): string {
  const units = unitsOf(formOf(name));
  if (units.length === 0 || !/^-?\d+$/.test(value)) return value;
  if (value === "-1" || value === longest) return "unlimited";
  const { number, unit } = splitUnit(formOf(name), value);
  return number.startsWith("-") || number === "0" || unit === "" ? value : `${number} ${unit}`;
}

/** A value as a number and the largest unit that leaves at most two decimals; "unlimited" has no number. */
export function splitUnit(form: Rule["form"], value: string): { number: string; unit: string } {
  const units = unitsOf(form);
  const base = units.at(-1)?.[0] ?? "";
  if (value === "-1" || value === longest) return { number: "", unit: "unlimited" };
  const n = Number(value);
  if (!/^\d+$/.test(value) || n === 0) return { number: value, unit: base };
  for (const [name, worth] of units) {
    if (n >= worth && (n % worth === 0 || ((n % worth) * 100) % worth === 0)) return { number: String(n / worth), unit: name };
  }
  return { number: value, unit: base };
}

/** The value that Kafka takes. Text that is no number is returned as it is, and the server refuses it. */
export function joinUnit(form: Rule["form"], number: string, unit: string): string {
  if (unit === "unlimited") return "-1";
  const worth = unitsOf(form).find(([name]) => name === unit)?.[1] ?? 1;
  const n = Number(number.trim().replace(",", "."));
  return number.trim() === "" || !Number.isFinite(n) ? number : String(Math.round(n * worth));
}
