import { type CSSProperties, type ReactNode, useCallback, useMemo, useState, useSyncExternalStore } from "react";
import { useParam } from "./route";
import { Rows } from "./rows";

export interface Column<T> {
  id: string;
  title: ReactNode;
  cell: (row: T) => ReactNode;
  /** The value by which the column is sorted; a column without it cannot be sorted. Unknown values are null and come last. */
  by?: (row: T) => string | number | null | undefined;
  /** A column of numbers: aligned right, sorted by the largest first. */
  num?: boolean;
  /** Width, as in grid-template-columns. */
  width: string;
  /** Left out if the page is narrower than this many px. */
  above?: number;
}

interface Props<T> {
  label: string;
  rows: T[];
  columns: Column<T>[];
  /** Names a row. Must be the same function in every call; with another function, all rows are drawn again. */
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

/** Orders rows by their places in an earlier order; rows that it did not have come last, in the given order. */
export function inOrder<T>(rows: T[], id: (row: T) => string, places: ReadonlyMap<string, number>): T[] {
  return rows
    .map((row, n) => ({ row, n: places.get(id(row)) ?? places.size + n }))
    .sort((a, b) => a.n - b.n)
    .map((x) => x.row);
}

/**
 * A table of any length; the page contains only the rows in sight. The address contains the sort order. The order of the
 * rows stays while the pointer or the focus is in the table, so that live data never moves a row before a click.
 */
export function Table<T>({ label, rows, columns, id, selected, sortParam = "sort", rowHeight = 34 }: Props<T>) {
  const [sort, setSort] = useParam(sortParam);
  const up = !sort.startsWith("-");
  const by = sort.replace(/^-/, "");
  const column = columns.find((c) => c.id === by);
  const [held, hold] = useState(false);
  const [kept, keep] = useState<{ sort: string; at: Map<string, number> } | null>(null); // the order of the rows while they are held
  const before = kept?.sort === sort ? kept.at : undefined;
  const list = useMemo(() => (before ? inOrder(rows, id, before) : sorted(rows, column, up)), [rows, id, before, column, up]);
  if (held && !before) keep({ sort, at: new Map(list.map((row, n) => [id(row), n])) });
  if (!held && kept) keep(null);

  const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize) / 16; // the page grows on very wide screens
  const width = useSyncExternalStore(onResize, () => innerWidth);
  const shown = useMemo(() => columns.filter((c) => !c.above || width > c.above), [columns, width]);
  const grid = useMemo<CSSProperties>(() => ({ gridTemplateColumns: shown.map((c) => c.width).join(" ") }), [shown]);
  const line = useCallback(
    (row: T, index: number, style: CSSProperties) => {
      const name = id(row);
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
    [id, shown, grid, selected],
  );
  const hasty = useCallback(
    (row: T, index: number, style: CSSProperties) => (
      <div key={id(row)} role="row" aria-rowindex={index + 2} className="vrow" style={{ ...grid, ...style }}>
        <div role="rowheader">{id(row)}</div>
      </div>
    ),
    [id, grid],
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
