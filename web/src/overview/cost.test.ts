import { describe, expect, it } from "vitest";
import type { Cost } from "../api/client";
import { dominant, parts, segments, unit } from "./cost";

const calm: Cost = { total: 1, latencyFactor: 1, errorFactor: 1, error: 0, silence: 1, inFlight: 0, capacity: 1, veto: 1, slowStart: 1, latencyMs: 20 };
const product = (c: Cost, weight = 1) => parts(c, weight).reduce((p, x) => p * x.factor, 1);

describe("the parts of a cost", () => {
  it("multiply to the cost: (q/ss + 1)/w · r · errors · silence", () => {
    const c: Cost = { ...calm, latencyFactor: 1.3, errorFactor: 391, silence: 2.5, inFlight: 3, capacity: 0.8, veto: 0.4, slowStart: 0.2 };
    expect(product(c, 2)).toBeCloseTo(((3 / 0.2 + 1) / (2 * 0.8 * 0.4)) * 1.3 * 391 * 2.5, 6);
  });

  it("name one that dominates, or none", () => {
    expect(dominant(parts(calm, 1))).toBeUndefined();
    expect(dominant(parts({ ...calm, errorFactor: 50, inFlight: 3 }, 1))?.name).toBe("errors");
  });

  it("fill the bar from price 1 to both sides, never beyond its ends", () => {
    expect(segments(parts(calm, 1))).toEqual([]);
    const list = segments(parts({ ...calm, latencyFactor: 0.5, errorFactor: 1e9, inFlight: 9 }, 1));
    expect(list.find((s) => s.part.kind === "latency")?.from).toBeLessThan(unit);
    for (const s of list) {
      expect(s.from).toBeGreaterThanOrEqual(0);
      expect(s.from + s.width).toBeLessThanOrEqual(1 + 1e-9);
    }
    const right = list.filter((s) => s.part.factor > 1).sort((a, b) => a.from - b.from);
    expect(right[0]?.from).toBeCloseTo(unit, 9);
    right.slice(1).forEach((s, i) => expect(s.from).toBeCloseTo((right[i]?.from ?? 0) + (right[i]?.width ?? 0), 9));
  });

  it("survive numbers that are none", () => {
    for (const v of [0, Number.NaN, Number.POSITIVE_INFINITY]) {
      const list = parts({ ...calm, capacity: v, veto: v, slowStart: v, latencyFactor: v }, v);
      expect(list.every((p) => Number.isFinite(p.factor) && p.factor > 0)).toBe(true);
    }
  });
});
