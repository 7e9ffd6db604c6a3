import { describe, expect, it } from "vitest";
import { age, bytes, clock, count, factor, latency, latencyMs, local, millisOf, ms, percent, rate, span, zone } from "./format";
import { address, paths } from "./route";
import { type Column, inOrder, sorted } from "./table";

describe("numbers", () => {
  it.each([
    [ms(0), "–"], [ms(null), "–"], [ms(0.853), "0.85"], [ms(18.757), "18.8"], [ms(108.7), "109"], [ms(1234), "1.2 s"], [ms(12_345), "12 s"],
    [latency(0), "–"], [latency(null), "–"], [latency(0.853), "0.85"], [latency(1), "1.0"], [latency(8.46), "8.5"], [latency(9.97), "10"], [latency(18.757), "19"], [latency(108.7), "110"], [latency(994), "990"], [latency(996), "1.0 s"], [latency(1234), "1.2 s"], [latency(12_345), "12 s"], [latency(123_456), "120 s"], [latencyMs(184.2), "180 ms"], [latencyMs(1840), "1.8 s"],
    [rate(0), "0"], [rate(0.2), "0.2"], [rate(99.97), "100"], [rate(12_345), "12.3k"],
    [percent(0), "0 %"], [percent(0.0004), "<0.1 %"], [percent(0.0123), "1.2 %"], [percent(0.9999), ">99.9 %"], [percent(1), "100 %"],
    [factor(1.085), "1.08"], [factor(391.2), "391"], [factor(45_100), "45k"], [factor(Number.NaN), "–"],
    [age(30), "0.0 s"], [age(2100), "2.1 s"], [age(125_000), "2 min"], [age(-5), "0 s"],
    [bytes(1023), "1023 B"], [bytes(11_534_336), "11.0 MiB"], [bytes(3 * 1024 ** 3), "3.0 GiB"], [bytes(1024 ** 4), "1.0 TiB"], [span(604_800_000), "7 d"], [span(1500), "1500 ms"],
    [count(1_234_567), "1\u202f234\u202f567"],
    [clock(new Date(2026, 0, 2, 3, 4, 5, 6), true, new Date(2026, 0, 2, 23, 59)), "03:04:05.006"],
    [clock(new Date(2026, 0, 2, 23, 59, 59, 6), false, new Date(2026, 0, 3, 0, 0)), "2026-01-02 23:59:59"],
    [local(new Date(2026, 10, 28, 14, 3, 7, 123), true), "2026-11-28 14:03:07.123"],
  ])("%s is %s", (got, want) => expect(got).toBe(want));
});

// Rows of yesterday had no date, fields had 12 hours in some browsers, and "from a time" was cut.
describe("one way to write a time", () => {
  it.each([0, 1, 999, 1_700_000_000_123, 1_764_338_587_123, 4_102_444_799_999])("%d is read as it is written", (ms) => {
    expect(millisOf(local(new Date(ms), true))).toBe(ms);
    expect(millisOf(local(new Date(ms), true).replace(" ", "T"))).toBe(ms);
    expect(millisOf(new Date(ms).toISOString())).toBe(ms);
  });
  it.each([
    ["2026-11-28", new Date(2026, 10, 28).getTime()],
    ["2026-11-28 14:03", new Date(2026, 10, 28, 14, 3).getTime()],
    [" 2026-11-28T14:03:07,5 ", new Date(2026, 10, 28, 14, 3, 7, 500).getTime()],
    ["2026-11-28 14:03:07+01:00", Date.UTC(2026, 10, 28, 13, 3, 7)],
    ["2026-11-28 14:03 -0330", Date.UTC(2026, 10, 28, 17, 33)],
    ["2026-11-28 14:03 UTC", Date.UTC(2026, 10, 28, 14, 3)],
  ])("%s is a moment", (text, want) => expect(millisOf(text)).toBe(want));
  it.each(["", "x", "14:03", "2026-13-01", "2026-02-30", "2026-11-28 24:00", "2026-11-28 2:03 pm", "11/28/2026", "2026-11-28 14:03:07.123.4"])("%s is none", (text) => expect(millisOf(text)).toBe(null));
  it("the zone is an offset from UTC", () => {
    const at = (minutes: number) => ({ getTimezoneOffset: () => minutes }) as Date;
    expect([zone(at(0)), zone(at(-60)), zone(at(210)), zone(at(-345))]).toEqual(["UTC", "UTC+01:00", "UTC-03:30", "UTC+05:45"]);
  });
});

it("the address of a record opens that record", () => {
  expect(paths.message("routing-decisions", 2, 17)).toBe("/topics/routing-decisions/messages?from=17&partitions=2&open=2%3A17");
});

it("an address takes what it has a value for", () => {
  expect(address("/topics/:topic/:tab", { topic: "a b" }, { q: "x&y", n: 0, no: undefined, off: false })).toBe("/topics/a%20b?q=x%26y&n=0");
});

describe("a sorted list", () => {
  const columns: Column<{ id: string; v: number | null }>[] = [{ id: "v", title: "v", width: "1fr", cell: () => null, by: (r) => r.v }];
  const rows = [{ id: "a", v: 2 }, { id: "b", v: null }, { id: "c", v: 10 }, { id: "d", v: 2 }];
  const ids = (up: boolean) => sorted(rows, columns[0], up).map((r) => r.id).join("");
  it("goes both ways, what is not known comes last, equal ones stay", () => {
    expect([ids(true), ids(false), sorted(rows, undefined, true).length]).toEqual(["adcb", "cadb", 4]);
  });
  it("keeps an earlier order, and puts new rows last", () => {
    const held = new Map([...sorted(rows, columns[0], true).entries()].map(([n, r]) => [r.id, n]));
    const now = [{ id: "x", v: 1 }, ...rows.toReversed().filter((r) => r.id !== "d"), { id: "y", v: 3 }];
    expect(inOrder(now, (r) => r.id, held).map((r) => r.id).join("")).toBe("acbxy");
  });
});
