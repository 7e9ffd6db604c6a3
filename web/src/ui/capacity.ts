import { type Capacity, get, seg } from "../api/client";
import { count, dash, rate } from "./format";

const often = { refetchInterval: 10_000, retry: false }; // the analyzer measures every ten seconds

/** What the services can carry, without their instances. */
export const capacities = { ...often, queryKey: ["capacity"], queryFn: ({ signal }: { signal: AbortSignal }) => get<Capacity[]>("/capacity?instances=false", signal) };

/** What one service can carry, with its instances. */
export const capacityOf = (service: string) => ({
  ...often,
  queryKey: ["capacity", service],
  queryFn: ({ signal }: { signal: AbortSignal }) => get<Capacity[]>(`/capacity?service=${seg(service)}`, signal),
});

type Level = Capacity["confidence"];

/** A rate that may be a lower bound: "≥ 1 240". */
export function bounded(v: number | null, atLeast: boolean): string {
  if (v === null) return "unknown";
  const text = Math.abs(v) < 10 ? rate(v) : count(Math.round(v));
  return atLeast ? `≥ ${text}` : text;
}

/** How many instances a service may lose; a lower bound of none says nothing. */
export function losses(c: Capacity): string {
  if (c.survives === null || (c.survives === 0 && c.atLeast)) return "unknown";
  return `${c.atLeast ? "≥ " : ""}${c.survives} of ${c.serving}`;
}

/** The colour class of a service: overloaded, without reserve, or not known. The words are always shown too. */
export function toneOf(c: Capacity): "bad-text" | "warn-text" | "muted" | "" {
  if (c.headroom === null) return "muted";
  if (c.headroom < 0) return "bad-text";
  return c.survives === 0 && !c.atLeast && c.serving > 1 ? "warn-text" : "";
}

export const confidence = (level: Level): string => (level === "none" ? "no estimate" : `${level} confidence`);

/** What limits an instance. */
export function limitedBy(bound: Capacity["bound"]): string {
  return bound === undefined ? dash : bound === "seen" ? "unknown" : bound === "cpu" ? "CPU" : bound;
}
