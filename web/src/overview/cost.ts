import type { Cost } from "../api/client";
import { factor, percent, wholePercent } from "../ui/format";

/** One factor of the cost of a request. Above 1 it raises the cost of the instance, below 1 it lowers it. */
export interface Part {
  name: string;
  /** CSS class of its colour. */
  kind: "latency" | "errors" | "flight" | "slow" | "veto" | "capacity" | "weight" | "silence";
  factor: number;
  /** The reason for the factor. */
  because: string;
}

const safe = (v: number) => (Number.isFinite(v) && v > 0 ? v : 1);

/**
 * The factors whose product is the cost: (q/ss + 1) · latency · errors · silence
 * over (weight · capacity · veto).
 */
export function parts(cost: Cost, weight: number): Part[] {
  const queue = cost.inFlight + 1;
  const slow = safe((cost.inFlight / safe(cost.slowStart) + 1) / queue);
  return [
    { name: "latency", kind: "latency", factor: safe(cost.latencyFactor), because: "(own average / pool median)^(2 × spread)" },
    { name: "errors", kind: "errors", factor: safe(cost.errorFactor), because: `estimate ${percent(cost.error)}` },
    { name: "in flight", kind: "flight", factor: queue, because: `${cost.inFlight} of this proxy's requests` },
    { name: "slow start", kind: "slow", factor: slow, because: cost.slowStart < 1 ? `at ${wholePercent(cost.slowStart)}` : "finished" },
    { name: "saturation", kind: "veto", factor: 1 / safe(cost.veto), because: cost.veto < 1 ? "it reports to be busy" : "none reported" },
    { name: "capacity", kind: "capacity", factor: 1 / safe(cost.capacity), because: `${factor(cost.capacity)} of the mean` },
    { name: "weight", kind: "weight", factor: 1 / safe(weight), because: `configured ${weight}` },
    { name: "silence", kind: "silence", factor: safe(cost.silence), because: cost.silence > 1 ? "answers are overdue" : "no answer is overdue" },
  ];
}

/** The largest factor, if it more than doubles the cost. */
export function dominant(list: Part[]): Part | undefined {
  const top = list.reduce((a, b) => (b.factor > a.factor ? b : a));
  return top.factor > 2 ? top : undefined;
}

export interface Segment {
  part: Part;
  /** Start and width, as shares of the bar. */
  from: number;
  width: number;
}

const low = -0.7; // log10 of the left end: a cost of a fifth
const high = 3.0; // log10 of the right end: a cost of 1,000
const at = (log: number) => (Math.min(high, Math.max(low, log)) - low) / (high - low);

/** The place of cost 1 on the bar. */
export const unit = at(0);

/** The bar's segments on a logarithmic scale: factors above 1 to the right of cost 1, factors below 1 to the left. */
export function segments(list: Part[]): Segment[] {
  const out: Segment[] = [];
  let right = 0;
  let left = 0;
  for (const part of list) {
    const log = Math.log10(part.factor);
    if (Math.abs(log) < 0.01) continue;
    const a = log > 0 ? at(right) : at(left + log);
    const b = log > 0 ? at(right + log) : at(left);
    if (log > 0) right += log;
    else left += log;
    if (b > a) out.push({ part, from: a, width: b - a });
  }
  return out;
}

export function costOf(i: { cost: Cost; weight: number }): Part[] {
  return parts(i.cost, i.weight);
}
