import { describe, expect, it } from "vitest";
import { fieldsOf } from "./fields";
import { whole } from "../ui/series";
import { problemsOf } from "./value";

describe("a schema as rows", () => {
  const schema = {
    required: ["at", "metrics"],
    properties: {
      at: { $ref: "#/$defs/time", description: "When it was measured." },
      metrics: { type: "object", required: ["rps"], properties: { rps: { type: "number", minimum: 0, maximum: Number.MAX_SAFE_INTEGER }, kind: { enum: ["a", "b"] } } },
      tags: { type: "array", items: { type: "object", properties: { name: { type: "string", maxLength: 9 } } } },
      self: { $ref: "#" },
      odd: true,
    },
    $defs: { time: { type: "string", format: "date-time", description: "RFC 3339." } },
  };
  const rows = fieldsOf(schema);
  it("has the fields in their order, those of objects and arrays below them", () => {
    expect(rows.slice(0, 6).map((f) => [f.path, f.type, f.required, f.about])).toEqual([
      ["at", "string (date-time)", true, "When it was measured"],
      ["metrics", "object", true, ""],
      ["metrics.rps", "number", true, "at least 0"],
      ["metrics.kind", '"a" | "b"', false, ""],
      ["tags", "array of object", false, ""],
      ["tags[].name", "string", false, "characters at most 9"],
    ]);
  });
  it("ends where a schema refers to itself, or to nothing", () => {
    expect(rows.length).toBeLessThan(200);
    expect(fieldsOf({ properties: { a: { $ref: "#/$defs/nobody" } } })).toEqual([{ path: "a", type: "anything", required: false, about: "" }]);
    expect([fieldsOf(null), fieldsOf("x"), fieldsOf([])]).toEqual([[], [], []]);
  });
});

describe("fifteen minutes", () => {
  it("are always as long, with gaps where nothing was measured", () => {
    const { times, points } = whole({ from: "2026-03-01T12:00:00Z", stepMs: 5000, points: [1, null, 3] });
    expect([times.length, points.length]).toEqual([180, 180]);
    expect(points.slice(-4)).toEqual([null, 1, null, 3]);
    expect(times.at(-1)).toBe(Date.parse("2026-03-01T12:00:10Z"));
    expect(whole(undefined).points.every((p) => p === null)).toBe(true);
  });
  it("keep the newest where there are more", () => {
    const { times, points } = whole({ from: "2026-03-01T12:00:00Z", stepMs: 5000, points: Array.from({ length: 200 }, (_, n) => n) });
    expect([points[0], points.at(-1), times[0]]).toEqual([20, 199, Date.parse("2026-03-01T12:01:40Z")]);
  });
});

describe("what a broker says of several settings", () => {
  it("stands beside each of them, and the rest above", () => {
    const said = 'change configuration of stock: retention.ms: "soon" is no whole number\n"retention" is no topic configuration (did you mean retention.ms?)\nsomething else';
    const { by, rest } = problemsOf(said, ["retention.ms", "retention", "segment.ms"]);
    expect(Object.fromEntries(by)).toEqual({ "retention.ms": '"soon" is no whole number', retention: '"retention" is no topic configuration (did you mean retention.ms?)' });
    expect(rest).toBe("something else");
  });
  it("of a topic to be made, too", () => {
    expect(problemsOf('create topic a: retention.ms: "x" is no whole number', ["retention.ms"]).by.get("retention.ms")).toBe('"x" is no whole number');
  });
});
