import { describe, expect, it } from "vitest";
import { changedLines, compare, near, pairs } from "./diff";

describe("a difference of texts", () => {
  it("leads from the first to the second", () => {
    const lines = compare("a\nb\nc\nd", "a\nx\nc\nd\ne");
    expect(lines.filter((l) => l.op !== "+").map((l) => l.text)).toEqual(["a", "b", "c", "d"]);
    expect(lines.filter((l) => l.op !== "-").map((l) => l.text)).toEqual(["a", "x", "c", "d", "e"]);
    expect(changedLines(lines)).toBe("2 lines added, 1 removed");
    expect(compare("", "")).toEqual([]);
  });

  it("shows what is near a change and counts the rest", () => {
    const text = Array.from({ length: 30 }, (_, n) => `line ${n}`);
    const shown = near(compare(text.join("\n"), text.with(15, "other").join("\n")));
    expect(shown[0]).toEqual({ gap: 12 });
    expect(shown.at(-1)).toEqual({ gap: 11 });
    expect(shown.length).toBe(10);
  });

  it("puts what was removed beside what took its place", () => {
    const rows = pairs(compare("a\nb\nc", "a\nx\ny\nc"));
    expect(rows.map(([l, r]) => [l && "text" in l ? l.text : null, r && "text" in r ? r.text : null])).toEqual([
      ["a", "a"],
      ["b", "x"],
      [null, "y"],
      ["c", "c"],
    ]);
  });
});
