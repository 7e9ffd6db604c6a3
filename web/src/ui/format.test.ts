import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  age, axisTime, bytes, clock, count, day, daytime, duration, factor, hex, isToday, joinUnit, latency, latencyMs, local, millisOf, percent, quantity, rate, score,
  settingValue, shortCount, significant, span, splitUnit, utc, wholePercent, zone,
} from "./format";

const second = 1000;
const hour = 3_600 * second;

describe("numbers", () => {
  it.each([
    [count(0), "0"], [count(-1), "-1"], [count(1_234_567), "1\u202f234\u202f567"], [count(9_007_199_254_740_991), "9\u202f007\u202f199\u202f254\u202f740\u202f991"],
    [shortCount(9_999.4), "9\u202f999"], [shortCount(12_345), "12.3k"], [shortCount(null), "–"],
    [rate(0), "0"], [rate(0.2), "0.2"], [rate(99.97), "100"], [rate(12_345), "12.3k"], [rate(99_990), "100k"], [rate(1_234_567), "1235k"],
    [percent(0), "0 %"], [percent(0.0004), "<0.1 %"], [percent(0.0123), "1.2 %"], [percent(0.9999), ">99.9 %"], [percent(1), "100 %"],
    [wholePercent(0), "0 %"], [wholePercent(0.126), "13 %"],
    [factor(0), "0.00"], [factor(1.085), "1.08"], [factor(9.999), "10.0"], [factor(99.97), "100"], [factor(391.2), "391"], [factor(45_100), "45k"], [factor(Number.POSITIVE_INFINITY), "–"],
    [score(0.5), "0.50"],
    [significant(12.34, 2), 12], [significant(0.01234, 2), 0.012],
    [quantity(0.25, "ratio"), "25.0 %"], [quantity(12, "ms"), "12 ms"], [quantity(1234.5, "requests"), "1\u202f235 requests"], [quantity(0.12345), "0.123"], [quantity(undefined, "ms"), "–"],
    [hex(10, 2), "0a"], [hex(0x2028, 4), "2028"],
  ])("%s is %s", (got, want) => expect(got).toBe(want));
});

describe("sizes and durations", () => {
  it.each([
    [bytes(0), "0 B"], [bytes(0.4), "0 B"], [bytes(1023), "1023 B"], [bytes(1023.7), "1.0 KiB"], [bytes(1024 ** 2 - 1), "1.0 MiB"], [bytes(11_534_336), "11.0 MiB"],
    [bytes(3 * 1024 ** 3), "3.0 GiB"], [bytes(1024 ** 4), "1.0 TiB"], [bytes(1024 ** 5), "1.0 PiB"], [bytes(-1), "–"],
    [duration(0), "0 ms"], [duration(0.853), "0.85 ms"], [duration(9.996), "10.0 ms"], [duration(18.757), "18.8 ms"], [duration(108.7), "109 ms"], [duration(999.6), "1.0 s"], [duration(1234), "1.2 s"],
    [duration(9_960), "10 s"], [duration(12_345), "12 s"], [duration(-1), "–"],
    [latency(0), "–"], [latency(-1), "–"], [latency(0.853), "0.85"], [latency(1), "1.0"], [latency(8.46), "8.5"], [latency(9.97), "10"], [latency(18.757), "19"], [latency(108.7), "110"], [latency(994), "990"],
    [latency(996), "1.0 s"], [latency(1234), "1.2 s"], [latency(12_345), "12 s"], [latency(123_456), "120 s"], [latencyMs(184.2), "180 ms"], [latencyMs(1840), "1.8 s"], [latencyMs(0), "–"],
    [age(0), "0.0 s"], [age(2100), "2.1 s"], [age(59_980), "1 min"], [age(125_000), "2 min"], [age(47 * hour), "47 h"], [age(48 * hour), "2 d"], [age(-5), "0 s"],
    [span(0), "0 ms"], [span(1001), "1001 ms"], [span(30_000), "30 s"], [span(5_400_000), "1.5 h"], [span(604_800_000), "7 d"],
  ])("%s is %s", (got, want) => expect(got).toBe(want));
});

it("no data is a dash, never 0", () => {
  for (const of of [count, shortCount, rate, percent, wholePercent, factor, score, quantity, bytes, duration, latency, latencyMs, age, span]) {
    expect([of(null), of(undefined), of(Number.NaN), of(Number.NEGATIVE_INFINITY)], of.name).toEqual(["–", "–", "–", "–"]);
  }
  for (const of of [day, daytime, local, clock]) expect([of(Number.NaN), of("soon")], of.name).toEqual(["–", "–"]);
  expect([utc("soon"), utc(Number.NaN)]).toEqual(["", ""]);
});

describe("times in Berlin", () => {
  beforeEach(() => {
    vi.stubEnv("TZ", "Europe/Berlin");
  });
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  it.each([
    ["2026-01-02T02:04:05.006Z", "2026-01-02T22:59:00Z", "03:04:05.006"],
    ["2026-01-02T22:59:59.006Z", "2026-01-02T23:00:00Z", "2026-01-02 23:59:59.006"], // a minute later it is yesterday
    ["2025-12-31T23:00:00Z", "2026-01-01T22:59:59Z", "00:00:00.000"], // another year in UTC
    ["2025-01-02T02:04:05Z", "2026-01-02T02:04:05Z", "2025-01-02 03:04:05.000"],
    ["0999-06-01T12:00:00Z", "2026-01-02T02:04:05Z", "0999-06-01 12:53:28.000"],
  ])("%s is, at %s, %s", (at, now, want) => expect(clock(at, true, now)).toBe(want));

  it("takes milliseconds and text", () => {
    const at = Date.UTC(2026, 10, 28, 13, 3, 7, 123);
    expect([local(at, true), local("2026-11-28T13:03:07.123Z", true), day(at), daytime(at), utc(at)]).toEqual(["2026-11-28 14:03:07.123", "2026-11-28 14:03:07.123", "2026-11-28", "14:03:07", "2026-11-28T13:03:07.123Z"]);
    expect([axisTime(at, 5_000), axisTime(at, 60_000)]).toEqual(["14:03:07", "14:03"]);
    expect([isToday(at, at), isToday(at, at + 10 * hour)]).toEqual([true, false]);
  });

  it("is right on both sides of a change of the clocks", () => {
    const spring = Date.UTC(2026, 2, 29, 1); // 02:00 becomes 03:00
    expect([local(spring - second), zone(spring - second), local(spring), zone(spring)]).toEqual(["2026-03-29 01:59:59", "UTC+01:00", "2026-03-29 03:00:00", "UTC+02:00"]);
    const autumn = Date.UTC(2026, 9, 25, 1); // 03:00 becomes 02:00: the hour comes twice
    expect([local(autumn - second), zone(autumn - second), local(autumn), zone(autumn)]).toEqual(["2026-10-25 02:59:59", "UTC+02:00", "2026-10-25 02:00:00", "UTC+01:00"]);
    expect(millisOf("2026-10-25 02:30")).toBe(autumn - hour / 2); // the first of the two
    expect(millisOf("2026-10-25 02:30 +01:00")).toBe(autumn + hour / 2);
    expect(millisOf("2026-03-29 02:30")).toBe(spring + hour / 2); // it does not exist; the clocks show 03:30 then
  });
});

// Rows of yesterday had no date, fields had 12 hours in some browsers, and "from a time" was cut.
describe("one way to write a time", () => {
  it.each([0, 1, 999, 1_700_000_000_123, 1_764_338_587_123, 4_102_444_799_999])("%d is read as it is written", (ms) => {
    expect(millisOf(local(ms, true))).toBe(ms);
    expect(millisOf(local(ms, true).replace(" ", "T"))).toBe(ms);
    expect(millisOf(utc(ms))).toBe(ms);
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
  it.each([
    ["UTC", "UTC"],
    ["Asia/Kathmandu", "UTC+05:45"],
    ["America/St_Johns", "UTC-03:30"],
  ])("the zone %s is %s", (name, want) => {
    vi.stubEnv("TZ", name);
    expect(zone("2026-01-02T12:00:00Z")).toBe(want);
    vi.unstubAllEnvs();
  });
});

describe("a setting's value", () => {
  // The same table as in internal/kafka/topic: page and command line print the same.
  it.each([
    ["retention.ms", "604800000", "7 d"],
    ["retention.ms", "5400000", "1.5 h"],
    ["retention.ms", "-1", "unlimited"],
    ["retention.ms", "1", "1 ms"],
    ["retention.ms", "86400001", "86400001 ms"],
    ["retention.bytes", "-1", "unlimited"],
    ["max.message.bytes", "11534336", "11 MiB"],
    ["max.message.bytes", "1048588", "1048588 B"],
    ["flush.ms", "9223372036854775807", "unlimited"],
    ["segment.ms", "0", "0"],
    ["local.retention.ms", "-2", "-2"],
    ["cleanup.policy", "delete", "delete"],
    ["min.insync.replicas", "2", "2"],
    ["retention.ms", "soon", "soon"],
  ])("%s=%s is %s", (name, value, want) => expect(settingValue(name, value)).toBe(want));

  it.each(["604800000", "1", "1048588", "11534336", "-1", "0", "90000"])("%s survives its input", (value) => {
    for (const form of ["time", "size"] as const) {
      const { number, unit } = splitUnit(form, value);
      expect(joinUnit(form, number, unit)).toBe(value);
    }
  });

  it("takes fractions and either decimal mark, and leaves text that is no number to the server", () => {
    expect([joinUnit("time", "1.5", "h"), joinUnit("size", "0,5", "KiB"), joinUnit("time", "soon", "d"), joinUnit("time", "", "d"), joinUnit("size", "5", "unlimited")]).toEqual(["5400000", "512", "soon", "", "-1"]);
  });
});
