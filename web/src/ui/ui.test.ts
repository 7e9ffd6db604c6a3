import { describe, expect, it } from "vitest";
import { address, paths } from "./route";
import { type Column, inOrder, sorted } from "./table";

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
