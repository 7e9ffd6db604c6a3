import { describe, expect, it } from "vitest";
import type { Capacity } from "../api/client";
import { bounded, losses, toneOf } from "./capacity";

const of = (c: Partial<Capacity>): Capacity => ({
  service: "s", text: "", target: 0.8, confidence: "high", reason: "", load: 100, capacity: 500, usable: 400, headroom: 300, atLeast: false, serving: 4, measured: 4, survives: 2, zones: [], regions: [], perInstance: 100, recommended: 1, instances: [], ...c,
});

describe("capacity", () => {
  it("writes unknown numbers as unknown, never as 0", () => {
    expect(bounded(null, false)).toBe("unknown");
    expect(bounded(null, true)).toBe("unknown");
    expect(losses(of({ survives: null }))).toBe("unknown");
    expect(losses(of({ survives: 0, atLeast: true }))).toBe("unknown");
  });

  it("marks lower bounds", () => {
    expect(bounded(1240, true)).toBe("≥ 1\u202f240");
    expect(bounded(-30, false)).toBe("-30");
    expect(losses(of({ survives: 1, atLeast: true }))).toBe("≥ 1 of 4");
    expect(losses(of({}))).toBe("2 of 4");
  });

  it("colours overload and a missing reserve, and nothing that is unknown", () => {
    expect(toneOf(of({ headroom: -1 }))).toBe("bad-text");
    expect(toneOf(of({ survives: 0 }))).toBe("warn-text");
    expect(toneOf(of({ survives: 0, serving: 1 }))).toBe("");
    expect(toneOf(of({ survives: 0, atLeast: true }))).toBe("");
    expect(toneOf(of({ headroom: null }))).toBe("muted");
    expect(toneOf(of({}))).toBe("");
  });
});
