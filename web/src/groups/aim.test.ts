import { describe, expect, it } from "vitest";
import type { GroupPart } from "../api/client";
import { type Aim, aimText, resetBody } from "./aim";

const aim = (a: Partial<Aim>): Aim => ({ kind: "earliest", value: "", topic: "", partitions: [], exact: new Map(), ...a });
const part = (topic: string, partition: number, currentOffset: number): GroupPart => ({ topic, partition, currentOffset, logEndOffset: 10, lag: 1, consumerId: "", host: "", clientId: "" });

describe("an aim", () => {
  it.each<[Partial<Aim>, object]>([
    [{}, { to: "earliest" }],
    [{ kind: "latest", topic: "t" }, { to: "latest", topics: [{ topic: "t" }] }],
    [{ kind: "shift", value: "-5", topic: "t", partitions: [1] }, { to: "shift:-5", topics: [{ topic: "t", partitions: [1] }] }],
    [{ kind: "offset", value: "7" }, { to: "7" }],
    [{ kind: "time", value: "2026-01-02T03:04:05.678" }, { to: `s@${new Date(2026, 0, 2, 3, 4, 5, 678).getTime()}` }],
    [{ kind: "exact", exact: new Map([["t/1", "9"]]) }, { exact: [{ topic: "t", partition: 0, offset: 4 }, { topic: "t", partition: 1, offset: 9 }, { topic: "u", partition: 0, offset: 0 }] }],
    [{ kind: "exact", topic: "u" }, { exact: [{ topic: "u", partition: 0, offset: 0 }] }],
  ])("%o is %o", (a, want) => {
    expect(aimText(aim(a))).toBe("");
    expect(JSON.parse(JSON.stringify(resetBody(aim(a), [part("t", 0, 4), part("t", 1, 5), part("u", 0, -1)])))).toEqual(want);
  });

  it.each<Partial<Aim>>([{ kind: "shift" }, { kind: "shift", value: "1.5" }, { kind: "offset", value: "-1" }, { kind: "time", value: "soon" }, { kind: "exact", exact: new Map([["t/0", "x"]]) }])("%o is a mistake", (a) => {
    expect(aimText(aim(a))).not.toBe("");
  });
});
