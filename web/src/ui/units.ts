import type { Rule, Step } from "../api/client";

/** Values of Kafka's settings as people say and write them: the same as the command line prints. */

type Unit = [name: string, worth: number];

const times: Unit[] = [["d", 86_400_000], ["h", 3_600_000], ["min", 60_000], ["s", 1000], ["ms", 1]];
const sizes: Unit[] = [["TiB", 2 ** 40], ["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10], ["B", 1]];

export const unitsOf = (form: Rule["form"]): Unit[] => (form === "time" ? times : form === "size" ? sizes : []);

const formOf = (name: string): Rule["form"] => (/(^|\.)ms(\.max)?$/.test(name) ? "time" : /(^|\.)bytes$/.test(name) ? "size" : "text");

const most = "9223372036854775807"; // more than a number of this language can say

/** "7 d", "11 MiB", "unlimited"; what is no time or size is left as it is. */
export function human(name: string, value: string): string {
  const units = unitsOf(formOf(name));
  if (units.length === 0 || !/^-?\d+$/.test(value)) return value;
  if (value === "-1" || value === most) return "unlimited";
  const { number, unit } = split(formOf(name), value);
  return number.startsWith("-") || number === "0" || unit === "" ? value : `${number} ${unit}`;
}

/** A value as a number and the largest unit that leaves it short; unlimited has no number. */
export function split(form: Rule["form"], value: string): { number: string; unit: string } {
  const units = unitsOf(form);
  const base = units.at(-1)?.[0] ?? "";
  if (value === "-1" || value === most) return { number: "", unit: "unlimited" };
  const n = Number(value);
  if (!/^\d+$/.test(value) || n === 0) return { number: value, unit: base };
  for (const [name, worth] of units) {
    if (n >= worth && (n % worth === 0 || ((n % worth) * 100) % worth === 0)) return { number: String(n / worth), unit: name };
  }
  return { number: value, unit: base };
}

/** The value that Kafka wants; what is no number is left for the server to judge. */
export function join(form: Rule["form"], number: string, unit: string): string {
  if (unit === "unlimited") return "-1";
  const worth = unitsOf(form).find(([name]) => name === unit)?.[1] ?? 1;
  const n = Number(number.trim().replace(",", "."));
  return number.trim() === "" || !Number.isFinite(n) ? number : String(Math.round(n * worth));
}

const entities: Record<string, string> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'", nbsp: " " };

/** Kafka describes its settings in HTML; the words of it. */
export const plain = (doc: string): string =>
  doc
    .replace(/<[^>]*>/g, "")
    .replace(/&(\w+);/g, (all, name: string) => entities[name] ?? all)
    .replace(/\s+/g, " ")
    .trim();

const orDefault = (v: string) => v || "the default";

/** What a step of a plan does, without the topic's name. */
export function words(s: Step): string {
  const from = human(s.config ?? "", s.from ?? "");
  const to = human(s.config ?? "", s.to ?? "");
  switch (s.kind) {
    case "create":
      return `is missing: create it with ${to} ${to === "1" ? "partition" : "partitions"}`;
    case "add-partitions":
      return `partitions ${from} → ${to}`;
    case "set-config":
    case "unset-config":
      return `${s.config} ${orDefault(from)} → ${orDefault(to)}`;
    case "unmanaged":
      return `${s.config} = ${from} is not in the catalog`;
    case "foreign":
      return "is not in the catalog";
    default:
      return s.reason ?? "cannot be changed";
  }
}
