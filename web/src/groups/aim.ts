import type { GroupPart } from "../api/client";
import { millisOf } from "../ui/format";

export type Kind = "earliest" | "latest" | "time" | "shift" | "offset" | "exact";

/** The position from which a group will continue. */
export interface Aim {
  kind: Kind;
  /** The value of the kinds time, shift and offset. */
  value: string;
  /** The topic; empty for all topics of the group. */
  topic: string;
  /** Partitions of that topic; empty for all. */
  partitions: number[];
  /** New offsets that differ from the committed ones, by topic/partition. */
  exact: Map<string, string>;
}

/** The mistake in an aim; empty if there is none. */
export function aimText(a: Aim): string {
  switch (a.kind) {
    case "time":
      return millisOf(a.value) === null ? "A time is needed" : "";
    case "shift":
      return /^[+-]?\d{1,18}$/.test(a.value) ? "" : "A whole number is needed, such as -100";
    case "offset":
      return /^\d{1,18}$/.test(a.value) ? "" : "An offset is needed, 0 or more";
    case "exact":
      return [...a.exact.values()].every((v) => /^\d{1,18}$/.test(v)) ? "" : "Each offset is a whole number, 0 or more";
    default:
      return "";
  }
}

/** The body of the reset call. */
export function resetBody(a: Aim, all: GroupPart[]): object {
  if (a.kind === "exact") {
    return {
      exact: all
        .filter((p) => a.topic === "" || p.topic === a.topic)
        .map((p) => ({ topic: p.topic, partition: p.partition, offset: Number(a.exact.get(`${p.topic}/${p.partition}`) ?? Math.max(p.currentOffset, 0)) })),
    };
  }
  const to = { earliest: "earliest", latest: "latest", time: `s@${millisOf(a.value) ?? 0}`, shift: `shift:${a.value}`, offset: a.value }[a.kind];
  const topics = a.topic === "" ? undefined : [{ topic: a.topic, ...(a.partitions.length > 0 && { partitions: a.partitions }) }];
  return { to, topics };
}
