// @vitest-environment jsdom
import { act, cleanup, render, screen } from "@testing-library/react";
import { type CSSProperties, createRef } from "react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { type GoTo, Rows } from "./rows";

interface Row {
  id: string;
  n: number;
}

class NoResize {
  observe() {}
  unobserve() {}
  disconnect() {}
}

/** Where the window is asked to scroll to. */
let scrolledTo: number[] = [];

beforeEach(() => {
  scrolledTo = [];
  vi.stubGlobal("ResizeObserver", NoResize);
  vi.stubGlobal("scrollTo", (to: ScrollToOptions) => scrolledTo.push(to.top ?? 0));
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

const many = (length: number) => Array.from({ length }, (_, n): Row => ({ id: `row-${n}`, n }));
const idOf = (r: Row) => r.id;
const twenty = () => 20;

/** A function that draws a row and writes down which. */
function pen() {
  const drawn: string[] = [];
  const row = (r: Row, index: number, style: CSSProperties) => {
    drawn.push(r.id);
    return (
      <div key={r.id} role="row" aria-rowindex={index + 1} style={style}>
        {r.id}: {r.n}
      </div>
    );
  };
  return { drawn, row };
}

const shown = () => screen.getAllByRole("row").map((e) => e.textContent);

it("draws the rows in sight and a few more, in a body as high as all of them", () => {
  const { row } = pen();
  render(<Rows className="x" list={many(10_000)} keyOf={idOf} height={twenty} row={row} overscan={3} />);
  expect(shown().length).toBe(Math.ceil(window.innerHeight / 20) + 3);
  expect([shown()[0], screen.getByRole("rowgroup").style.height]).toEqual(["row-0: 0", "200000px"]);
});

it("stands each row below the heights of those before it", () => {
  const { row } = pen();
  render(<Rows className="x" list={many(4)} keyOf={idOf} height={(r) => (r.n === 0 ? 50 : 20)} row={row} />);
  expect(screen.getAllByRole("row").map((e) => e.style.top)).toEqual(["0px", "50px", "70px", "90px"]);
});

it("draws again only the rows that changed", () => {
  const { drawn, row } = pen();
  const list = many(10);
  const of = (l: Row[]) => <Rows className="x" list={l} keyOf={idOf} height={twenty} row={row} />;
  const { rerender } = render(of(list));
  drawn.length = 0;
  rerender(of([...list]));
  expect(drawn).toEqual([]);
  rerender(of(list.with(4, { id: "row-4", n: 99 })));
  expect([drawn, shown()[4]]).toEqual([["row-4"], "row-4: 99"]);
});

it("draws a row again that has another place, and forgets one that is gone", () => {
  const { drawn, row } = pen();
  const list = many(4);
  const of = (l: Row[]) => <Rows className="x" list={l} keyOf={idOf} height={twenty} row={row} />;
  const { rerender } = render(of(list));
  drawn.length = 0;
  rerender(of(list.slice(1)));
  expect([drawn, shown()]).toEqual([["row-1", "row-2", "row-3"], ["row-1: 1", "row-2: 2", "row-3: 3"]]);
  drawn.length = 0;
  rerender(of(list));
  expect(drawn).toEqual(["row-0", "row-1", "row-2", "row-3"]);
});

it("draws all rows again with another function", () => {
  const first = pen();
  const second = pen();
  const list = many(3);
  const { rerender } = render(<Rows className="x" list={list} keyOf={idOf} height={twenty} row={first.row} />);
  rerender(<Rows className="x" list={list} keyOf={idOf} height={twenty} row={second.row} />);
  expect(second.drawn).toEqual(["row-0", "row-1", "row-2"]);
});

it("takes other heights when sized changes", () => {
  const { row } = pen();
  const list = many(3);
  const of = (px: number) => <Rows className="x" list={list} keyOf={idOf} height={() => px} sized={px} row={row} />;
  const { rerender } = render(of(20));
  rerender(of(30));
  expect(screen.getAllByRole("row").map((e) => e.style.top)).toEqual(["0px", "30px", "60px"]);
});

it("goes to a row", () => {
  const { row } = pen();
  const goTo = createRef<GoTo>();
  Object.defineProperty(document.documentElement, "scrollHeight", { configurable: true, value: 20_000 }); // jsdom has no layout
  render(<Rows className="x" list={many(1_000)} keyOf={idOf} height={twenty} row={row} goTo={goTo} />);
  act(() => goTo.current?.(500, "start"));
  expect(scrolledTo).toContain(10_000);
});

it("an empty list is an empty body", () => {
  const { row } = pen();
  render(<Rows className="x" list={[]} keyOf={idOf} height={twenty} row={row} />);
  expect(screen.getByRole("rowgroup").children.length).toBe(0);
});
