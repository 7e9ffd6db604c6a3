// @vitest-environment jsdom
import { cleanup, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, describe, expect, it } from "vitest";
import { changedLines, compare, Diff, near, pairs } from "./diff";

afterEach(cleanup);

describe("a difference of texts", () => {
  it("leads from the first to the second", () => {
    const lines = compare("a\nb\nc\nd", "a\nx\nc\nd\ne");
    expect(lines.filter((l) => l.op !== "+").map((l) => l.text)).toEqual(["a", "b", "c", "d"]);
    expect(lines.filter((l) => l.op !== "-").map((l) => l.text)).toEqual(["a", "x", "c", "d", "e"]);
    expect(changedLines(lines)).toBe("2 lines added, 1 removed");
    expect(compare("", "")).toEqual([]);
  });

  it("shows what is near a change and folds the rest until it is opened", () => {
    const text = Array.from({ length: 30 }, (_, n) => `line ${n}`);
    const lines = compare(text.join("\n"), text.with(15, "other").join("\n"));
    const shown = near(lines);
    expect(shown[0]).toEqual({ folded: 12, at: 0 });
    expect(shown.at(-1)).toEqual({ folded: 11, at: 20 });
    expect(shown.length).toBe(10);
    expect(near(lines, new Set([20]))).toEqual([{ folded: 12, at: 0 }, ...lines.slice(12)]);
    expect(near(lines, new Set([0, 20]))).toEqual(lines);
  });

  it("is whole, however long the texts are and however much differs", () => {
    const long = Array.from({ length: 20_000 }, (_, n) => `line ${n}`);
    const lines = compare(long.join("\n"), long.with(19_990, "other").join("\n"));
    expect(lines.length).toBe(20_001);
    expect(lines.filter((l) => l.op !== "=")).toEqual([
      { op: "-", from: 19_991, text: "line 19990" },
      { op: "+", to: 19_991, text: "other" },
    ]);
    const other = Array.from({ length: 20_000 }, (_, n) => `other ${n}`);
    const replaced = compare(long.join("\n"), other.join("\n"));
    expect(replaced.filter((l) => l.op === "-").map((l) => l.text)).toEqual(long);
    expect(replaced.filter((l) => l.op === "+").map((l) => l.text)).toEqual(other);
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

const text = Array.from({ length: 1_000 }, (_, n) => `line ${n}`);
const lines = compare(text.join("\n"), text.with(700, "other").join("\n"));

it.each([false, true])("folds equal lines and shows them on a press, split: %s", async (split) => {
  render(<Diff lines={lines} split={split} label="Changes" />);
  expect(screen.getAllByText("other").length).toBe(1);
  expect(screen.queryByText("line 5")).toBeNull();
  const user = userEvent.setup();
  await user.click(screen.getByRole("button", { name: "Show 697 equal lines" }));
  expect(screen.getAllByText("line 5").length).toBe(split ? 2 : 1);
  expect(screen.queryByText("line 990")).toBeNull(); // the other fold stays
  expect(document.activeElement).toBe(screen.getByRole("region", { name: "Changes" }));
});

it("says that nothing differs", () => {
  render(<Diff lines={compare("a\nb", "a\nb")} label="Changes" />);
  expect(screen.getByText("Nothing differs.")).toBeTruthy();
});
