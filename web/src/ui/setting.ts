import type { Step } from "../api/client";
import { settingValue } from "./format";

const entities: Record<string, string> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'", nbsp: " " };

/** The text of a setting's description, which Kafka writes in HTML. */
export const docText = (doc: string): string =>
  doc
    .replace(/<[^>]*>/g, "")
    .replace(/&(\w+);/g, (all, name: string) => entities[name] ?? all)
    .replace(/\s+/g, " ")
    .trim();

const orDefault = (v: string) => v || "the default";

/** The text of a step of a plan, without the topic's name. */
export function stepText(s: Step): string {
  const from = settingValue(s.config ?? "", s.from ?? "");
  const to = settingValue(s.config ?? "", s.to ?? "");
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
