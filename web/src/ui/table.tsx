import { type CSSProperties, type ReactNode, useCallback, useMemo, useRef, useState, useSyncExternalStore } from "react";
import { useParam } from "./route";
import { Rows } from "./rows";

export interface Column<T> {
  id: string;
  title: ReactNode;
  cell: (row: T) => ReactNode;
  /** What the column is sorted by; a column without it cannot be sorted. Unknown values are null and come last. */
  by?: (row: T) => string | number | null | undefined;
  /** Numbers begin with the largest and stand to the right. */
  num?: boolean;
  /** Width, as in grid-template-columns. */
  width: string;
  /** Left out where the page is narrower than so many px. */
  above?: number;
}

interface Props<T> {
  label: string;
  rows: T[];
  columns: Column<T>[];
  id: (row: T) => string;
  selected?: string | undefined;
  /** The name of the sort order in the address. */
  sortParam?: string;
  rowHeight?: number;
}

function onResize(f: () => void): () => void {
  addEventListener("resize", f);
  return () => removeEventListener("resize", f);
}

/** Orders rows by a column; rows without a value come last, equal ones keep their order. */
export function sorted<T>(rows: T[], column: Column<T> | undefined, up: boolean): T[] {
  const by = column?.by;
  if (!by) return rows;
  const sign = up ? 1 : -1;
  return rows
    .map((row, n) => ({ row, n, v: by(row) }))
    .sort((a, b) => {
      if (a.v == null || b.v == null) return a.v == null && b.v == null ? a.n - b.n : a.v == null ? 1 : -1;
      if (a.v === b.v) return a.n - b.n;
      return sign * (typeof a.v === "string" ? a.v.localeCompare(String(b.v), "en", { numeric: true }) : a.v < Number(b.v) ? -1 : 1);
    })
    .map((x) => x.row);
}

/**
 * A table of any length: only what is seen is in the page. The order is in the
 * address, and stays as it is while the pointer or the focus is in the table,
 * so that live data never moves a row away from under the hand.
 */
export function Table<T>({ label, rows, columns, id, selected, sortParam = "sort", rowHeight = 34 }: Props<T>) {
  const [sort, setSort] = useParam(sortParam);
  const up = !sort.startsWith("-");
  const by = sort.replace(/^-/, "");
  const column = columns.find((c) => c.id === by);
  const [held, hold] = useState(false);
  const order = useRef<{ sort: string; at: Map<string, number> }>({ sort: "", at: new Map() });
  const list = useMemo(() => {
    const kept = held && order.current.sort === sort;
    const fresh = kept
      ? rows
          .map((row, n) => ({ row, n: order.current.at.get(id(row)) ?? order.current.at.size + n }))
          .sort((a, b) => a.n - b.n)
          .map((x) => x.row)
      : sorted(rows, column, up);
    if (!kept) order.current = { sort, at: new Map(fresh.map((row, n) => [id(row), n])) };
    return fresh;
  }, [rows, sort, held]);

  const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize) / 16; // the page grows on very wide screens
  const width = useSyncExternalStore(onResize, () => innerWidth);
  const shown = useMemo(() => columns.filter((c) => !c.above || width > c.above), [columns, width]);
  const grid = useMemo<CSSProperties>(() => ({ gridTemplateColumns: shown.map((c) => c.width).join(" ") }), [shown]);
  const key = useRef(id);
  key.current = id;
  const line = useCallback(
    (row: T, index: number, style: CSSProperties) => {
      const name = key.current(row);
      return (
        <div key={name} role="row" aria-rowindex={index + 2} data-id={name} className={`vrow ${name === selected ? "selected" : ""}`} style={{ ...grid, ...style }}>
          {shown.map((c, n) => (
            <div key={c.id} role={n === 0 ? "rowheader" : "cell"} className={c.num ? "num" : ""}>
              {c.cell(row)}
            </div>
          ))}
        </div>
      );
    },
    [shown, grid, selected],
  );
  const hasty = useCallback(
    (row: T, index: number, style: CSSProperties) => (
      <div key={key.current(row)} role="row" aria-rowindex={index + 2} className="vrow" style={{ ...grid, ...style }}>
        <div role="rowheader">{key.current(row)}</div>
      </div>
    ),
    [grid],
  );
  const press = (c: Column<T>) => {
    const first = c.num ? `-${c.id}` : c.id;
    setSort(sort === first ? (c.num ? c.id : `-${c.id}`) : first);
  };
  return (
    <div
      className="vtable"
      role="table"
      aria-label={label}
      aria-rowcount={list.length + 1}
      onPointerEnter={() => hold(true)}
      onPointerLeave={() => hold(false)}
      onFocus={() => hold(true)}
      onBlur={() => hold(false)}
    >
      <div role="rowgroup">
        <div role="row" className="vrow vhead" style={grid} aria-rowindex={1}>
          {shown.map((c) => (
            <div key={c.id} role="columnheader" className={c.num ? "num" : ""} aria-sort={by === c.id ? (up ? "ascending" : "descending") : undefined}>
              {c.by ? (
                <button type="button" className="quiet sort" onClick={() => press(c)}>
                  {c.title}
                  <span aria-hidden="true">{by === c.id ? (up ? " ↑" : " ↓") : ""}</span>
                </button>
              ) : (
                c.title
              )}
            </div>
          ))}
        </div>
      </div>
      <Rows className="vbody" list={list} keyOf={id} height={() => rowHeight * rem} sized={rowHeight * rem} row={line} hasty={hasty} overscan={12} />
    </div>
  );
}
