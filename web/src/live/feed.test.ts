import { describe, expect, it } from "vitest";
import type { Changes, Instance, Overview } from "../api/client";
import { apply, begin, shareOf, slots, topOf } from "./feed";

const instance = (id: string): Instance => ({
  id,
  address: "127.0.0.1:1",
  state: "in",
  condition: "ok",
  failures: 0,
  ejections: 0,
  share: 0.5,
  fairShare: 0.5,
  rate: 1,
  errorRate: 0,
  p50Ms: 1,
  p95Ms: 2,
  p99Ms: 3,
  inFlight: 0,
  requests: 0,
  errors: 0,
  history: [1, 2, 3],
  errorHistory: [0, 0, 1],
  weight: 1,
  cost: { total: 1, latencyFactor: 1, errorFactor: 1, error: 0, silence: 1, inFlight: 0, capacity: 1, veto: 1, slowStart: 1, latencyMs: 1 },
  facts: { score: 1, known: true, state: "HEALTHY", reasons: [], ageMs: 0, trust: 1, capacity: null, errorRate: null, utilization: null, p95Ms: null, ignored: {} },
  probe: null,
});

const start = (): Overview =>
  ({
    at: "2026-03-01T12:00:00Z",
    tick: 10,
    node: { node: "n" },
    alerts: [],
    services: [
      { id: "s", policy: "adaptive", panic: false, rate: 2, errorRate: 0, medianMs: 1, active: 0, instances: [instance("a"), instance("b")] },
      { id: "t", policy: "maglev", panic: false, rate: 0, errorRate: 0, medianMs: 0, active: 0, queue: { limit: 9, waiting: 0, adaptive: true }, instances: [instance("c")] },
    ],
  }) as unknown as Overview;

function must<T>(v: T | undefined): T {
  if (v === undefined) throw new Error("there is none");
  return v;
}

const second = (tick: number, extra: Partial<Changes> = {}): Changes => ({ at: "2026-03-01T12:00:01Z", tick, services: [], instances: [], standing: [], ...extra });
const row = (n: number, requests: number, rate: number, weight = 1) => [n, requests, 0, rate, 0, 1, 2, 3, 4, weight, 9, 1, 1, 0, 1, 1, 1, 1, 5, 0.5, 0.9, Date.parse("2026-03-01T12:00:00Z")];

describe("the overview from its changes", () => {
  it("begins with the history, the newest second last", () => {
    const o = begin(start());
    const p = o.services[0]?.instances[0]?.points;
    expect([p?.requests.at(-3), p?.requests.at(-1), p?.errors.at(-1), p?.requests.at(0)]).toEqual([1, 3, 1, 0]);
    expect(topOf(must(o.services[0]))).toBe(3);
  });

  it("takes an instance's row, and leaves the others the objects they were", () => {
    const o = begin(start());
    const next = apply(o, second(11, { instances: [row(2, 7, 7)], services: [[1, 7, 0, 3, 4, 1, 6, 2, 30, 2]] }));
    const c = next.services[1]?.instances[0];
    expect([c?.id, c?.rate, c?.inFlight, c?.cost.total, c?.facts?.score, Date.parse(next.at) - (c?.factsAt ?? 0)]).toEqual(["c", 7, 4, 9, 0.5, 1000]);
    expect([next.services[1]?.panic, shareOf(must(next.services[1]), must(c))]).toEqual([true, 1]);
    expect(next.services[1]?.queue).toEqual({ limit: 6, waiting: 2, adaptive: true });
    expect(o.services[1]?.queue?.limit).toBe(9);
    expect(next.services[1]?.headroom).toEqual({ rate: 30, atLeast: true });
    expect(apply(next, second(12, { services: [[1, 7, 0, 3, 4, 1, 6, 2, 0, 0]] })).services[1]?.headroom).toBeUndefined();
    expect(next.services[0]).toBe(o.services[0]);
    expect(next.node).toBe(o.node);
  });

  it("turns all rings together: who is not named had nothing", () => {
    let o = begin(start());
    for (let n = 1; n <= slots; n++) o = apply(o, second(10 + n, { instances: [row(0, n, 1)] }));
    const [a, b] = o.services[0]?.instances ?? [];
    expect(a?.points.requests[o.head]).toBe(slots);
    expect(a?.points.requests[(o.head + 1) % slots]).toBe(1);
    expect(b?.points.requests.every((v) => v === 0)).toBe(true);
  });

  it("tells the same second once, and leaves seconds out that it missed", () => {
    let o = apply(begin(start()), second(11, { instances: [row(0, 5, 1)] }));
    o = apply(o, second(11, { instances: [row(0, 6, 1)] }));
    const p = o.services[0]?.instances[0]?.points.requests;
    expect([p?.[o.head], p?.[(o.head - 1 + slots) % slots]]).toEqual([5, 3]);
    o = apply(o, second(14, { instances: [row(0, 8, 1)] }));
    expect([0, 1, 2, 3].map((k) => o.services[0]?.instances[0]?.points.requests[(o.head - k + slots) % slots])).toEqual([8, 0, 0, 5]);
  });

  it("weighs again when a weight changes, and keeps the history when the standing does", () => {
    let o = apply(begin(start()), second(11, { instances: [row(0, 1, 1, 3)] }));
    expect(o.services[0]?.instances.map((i) => i.fairShare)).toEqual([0.75, 0.25]);
    o = apply(o, second(12, { standing: [{ n: 1, instance: { ...instance("b"), state: "ejected", history: [], errorHistory: [] } }] }));
    const b = o.services[0]?.instances[1];
    expect([b?.state, b?.points.requests.includes(3)]).toEqual(["ejected", true]);
  });

  it("survives numbers that lead nowhere", () => {
    const o = begin(start());
    expect(apply(o, second(11, { instances: [row(99, 1, 1)], services: [[99, 1, 1, 1, 1, 1]], standing: [{ n: 99, instance: instance("x") }] })).services).toEqual(o.services);
  });
});
