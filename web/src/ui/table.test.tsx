// @vitest-environment jsdom
import { cleanup, render, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { type Column, Table } from "./table";

interface Row {
  name: string;
  lag: number | null;
}

const columns: Column<Row>[] = [
  { id: "name", title: "Name", width: "1fr", by: (r) => r.name, cell: (r) => r.name },
  { id: "lag", title: "Lag", width: "5rem", num: true, by: (r) => r.lag, cell: (r) => r.lag },
];
const nameOf = (r: Row) => r.name;

class NoResize {
  observe() {}
  unobserve() {}
  disconnect() {}
}

beforeEach(() => {
  vi.stubGlobal("ResizeObserver", NoResize);
  vi.stubGlobal("scrollTo", () => {});
  document.documentElement.style.fontSize = "16px";
  history.replaceState(null, "", "/groups");
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

const shown = () => screen.getAllByRole("rowheader").map((e) => e.textContent);

it("draws only rows in sight, and counts all", () => {
  const rows = Array.from({ length: 10_000 }, (_, n) => ({ name: `group-${n}`, lag: n }));
  render(<Table label="Groups" rows={rows} columns={columns} id={nameOf} />);
  expect(screen.getByRole("table", { name: "Groups" }).getAttribute("aria-rowcount")).toBe("10001");
  expect(shown().length).toBeGreaterThan(10);
  expect(shown().length).toBeLessThan(100);
});

it("orders by a column: numbers by the largest first, then the other way; the address has it", async () => {
  const rows = [
    { name: "a", lag: 2 },
    { name: "b", lag: null },
    { name: "c", lag: 10 },
  ];
  render(<Table label="Groups" rows={rows} columns={columns} id={nameOf} />);
  const user = userEvent.setup();
  await user.click(screen.getByRole("button", { name: /Lag/ }));
  expect([shown(), location.search]).toEqual([["c", "a", "b"], "?sort=-lag"]);
  await user.click(screen.getByRole("button", { name: /Lag/ }));
  expect([shown(), location.search]).toEqual([["a", "c", "b"], "?sort=lag"]);
  expect(screen.getByRole("columnheader", { name: /Lag/ }).getAttribute("aria-sort")).toBe("ascending");
  await user.click(screen.getByRole("button", { name: /Name/ }));
  expect(shown()).toEqual(["a", "b", "c"]);
});

it("keeps the order while the pointer is in the table, and catches up when it leaves", async () => {
  history.replaceState(null, "", "/groups?sort=-lag");
  const table = (rows: Row[]) => <Table label="Groups" rows={rows} columns={columns} id={nameOf} />;
  const { rerender } = render(table([{ name: "a", lag: 5 }, { name: "b", lag: 3 }]));
  const user = userEvent.setup();
  await user.hover(screen.getByRole("table"));
  rerender(table([{ name: "new", lag: 9 }, { name: "b", lag: 7 }, { name: "a", lag: 5 }]));
  expect(shown()).toEqual(["a", "b", "new"]);
  expect(within(screen.getByRole("table")).getByText("7")).toBeTruthy(); // the number is of now, the place is not
  await user.unhover(screen.getByRole("table"));
  expect(shown()).toEqual(["new", "b", "a"]);
});
