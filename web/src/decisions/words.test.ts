import { describe, expect, it } from "vitest";
import type { Decision } from "../api/client";
import { failed, outcome, why } from "./words";

const candidate = (instanceId: string, cost: number, more = {}) => ({ instanceId, cost, inFlight: 0, latencyFactor: 1, errorRate: 0, weight: 1, slowStart: 1, silence: 1, trust: 1, ...more });
const base: Decision = { timestamp: "2026-03-01T12:00:00Z", node: "n", kind: "decision", serviceId: "s", partition: 0, offset: 0 };

describe("a decision in words", () => {
  it("names the costs and what made the next one dearer", () => {
    const d: Decision = {
      ...base,
      instanceId: "a",
      reason: "lowest-cost",
      why: "retry",
      candidates: [candidate("b", 4, { inFlight: 3 }), candidate("a", 1.25)],
      excluded: [{ instanceId: "c", reason: "ejected" }],
      outcome: { failure: "timeout", sent: true, headMs: 1500, retried: true },
    };
    const text = why(d).join(" ");
    expect(text).toContain("a was chosen because a request to it cost 1.25, the lowest of 2 compared instances");
    expect(text).toContain("the next, b, cost 4.00 (in flight ×4.00)");
    expect(text).toContain("Not considered: c (ejected)");
    expect(text).toContain("timeout after 1.5 s; the instance may have received the request");
    expect(text).toContain("Then another instance was tried");
    expect([failed(d), outcome(d)]).toEqual([true, "timeout, retried"]);
  });

  it("says so where nothing could be chosen, and where nothing was compared", () => {
    expect(why({ ...base, outcome: {} })[0]).toContain("No instance could be chosen");
    expect(why({ ...base, instanceId: "a", reason: "hash", outcome: { status: 200 } })[0]).toContain("the hash of the request selects it");
    expect(failed({ ...base, outcome: { status: 200 } })).toBe(false);
  });

  it("describes a change of state", () => {
    const d: Decision = { ...base, kind: "change", change: { instanceId: "a", from: "in", to: "ejected", reason: "5 failures" } };
    expect([why(d)[0], outcome(d), failed(d)]).toEqual(["a went from in to ejected: 5 failures.", "in → ejected", false]);
  });
});
