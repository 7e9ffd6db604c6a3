import { diffArrays } from "diff";
import { useMemo, useRef, useState } from "react";
import type { DiffLine } from "../api/client";
import { Region } from "./sheet";

const context = 3; // equal lines shown before and after a change
const maxEdits = 4_000; // different lines above which compare shows the first text as replaced by the second

/** Equal lines that are not shown: their number, and the index of the first. */
export interface Fold {
  folded: number;
  at: number;
}

export type Shown = DiffLine | Fold;

/** Returns the lines near changes and folds the rest, but for the folds whose first line is in open. */
export function near(lines: DiffLine[], open: ReadonlySet<number> = new Set()): Shown[] {
  const keep = new Uint8Array(lines.length);
  lines.forEach((l, n) => {
    if (l.op !== "=") keep.fill(1, Math.max(0, n - context), n + context + 1);
  });
  const out: Shown[] = [];
  for (let n = 0; n < lines.length; ) {
    let end = n;
    while (end < lines.length && !keep[end]) end++;
    if (end > n && !open.has(n)) out.push({ folded: end - n, at: n });
    else out.push(...lines.slice(n, ++end));
    n = end;
  }
  return out;
}

/** Lines in two columns: removed lines are next to the lines that replaced them. */
export function pairs(lines: Shown[]): [Shown | null, Shown | null][] {
  const out: [Shown | null, Shown | null][] = [];
  for (let n = 0; n < lines.length; ) {
    const l = lines[n];
    if (!l || "folded" in l || l.op === "=") {
      if (l) out.push([l, l]);
      n++;
      continue;
    }
    const removed: Shown[] = [];
    const added: Shown[] = [];
    for (; n < lines.length; n++) {
      const x = lines[n];
      if (!x || "folded" in x || x.op === "=") break;
      (x.op === "-" ? removed : added).push(x);
    }
    for (let k = 0; k < Math.max(removed.length, added.length); k++) out.push([removed[k] ?? null, added[k] ?? null]);
  }
  return out;
}

/** Compares two texts line by line; for texts that the API did not compare, such as the JSON of an audit record. */
export function compare(first: string, second: string): DiffLine[] {
  const a = first === "" ? [] : first.split("\n");
  const b = second === "" ? [] : second.split("\n");
  const parts = diffArrays(a, b, { maxEditLength: maxEdits }) ?? [
    { value: a, removed: true, added: false },
    { value: b, removed: false, added: true },
  ];
  let from = 0;
  let to = 0;
  return parts.flatMap(({ value, removed, added }) =>
    value.map((text): DiffLine => {
      if (removed) return { op: "-", from: ++from, text };
      if (added) return { op: "+", to: ++to, text };
      return { op: "=", from: ++from, to: ++to, text };
    }),
  );
}

const signs = { "=": " ", "-": "−", "+": "+" } as const;
const words = { "=": "", "-": "removed: ", "+": "added: " } as const;

/** A difference in one column or in two. Equal lines far from a change are folded; a press shows them. */
export function Diff({ lines, split = false, label }: { lines: DiffLine[]; split?: boolean; label: string }) {
  const place = useRef<HTMLDivElement>(null);
  const [unfolded, setUnfolded] = useState<{ of: DiffLine[]; at: ReadonlySet<number> }>({ of: lines, at: new Set() });
  const open = unfolded.of === lines ? unfolded.at : undefined; // other lines are folded in other places
  const shown = useMemo(() => near(lines, open), [lines, open]);
  const unfold = (at: number) => {
    setUnfolded({ of: lines, at: new Set(open).add(at) });
    place.current?.focus(); // the button that had the focus is gone
  };
  if (!lines.some((l) => l.op !== "=")) return <p className="muted">Nothing differs.</p>;
  return (
    <Region label={label} className={`diff ${split ? "split" : ""}`} place={place}>
      <table>
        {split && (
          <colgroup>
            <col className="no" />
            <col />
            <col className="no" />
            <col />
          </colgroup>
        )}
        <tbody>
          {split
            ? pairs(shown).map(([left, right], n) =>
                left && "folded" in left ? (
                  <Folded key={n} fold={left} span={4} unfold={unfold} />
                ) : (
                  <tr key={n}>
                    <Half l={left} side="from" />
                    <Half l={right} side="to" />
                  </tr>
                ),
              )
            : shown.map((l, n) =>
                "folded" in l ? (
                  <Folded key={n} fold={l} span={3} unfold={unfold} />
                ) : (
                  <tr key={n} className={l.op === "+" ? "added" : l.op === "-" ? "removed" : ""}>
                    <td className="no">{l.from ?? ""}</td>
                    <td className="no">{l.to ?? ""}</td>
                    <td className="text">
                      <span className="visually-hidden">{words[l.op]}</span>
                      <span aria-hidden="true">{signs[l.op]} </span>
                      {l.text}
                    </td>
                  </tr>
                ),
              )}
        </tbody>
      </table>
    </Region>
  );
}

function Folded({ fold, span, unfold }: { fold: Fold; span: number; unfold: (at: number) => void }) {
  return (
    <tr className="fold">
      <td colSpan={span}>
        <button type="button" className="quiet" onClick={() => unfold(fold.at)}>
          Show {fold.folded} equal {fold.folded === 1 ? "line" : "lines"}
        </button>
      </td>
    </tr>
  );
}

function Half({ l, side }: { l: Shown | null; side: "from" | "to" }) {
  if (!l || "folded" in l) return <td className="none" colSpan={2} />;
  return (
    <>
      <td className="no">{l[side]}</td>
      <td className={`text ${l.op === "+" ? "added" : l.op === "-" ? "removed" : ""}`}>
        <span className="visually-hidden">{words[l.op]}</span>
        {l.text}
      </td>
    </>
  );
}

export const changedLines = (lines: DiffLine[]): string => {
  const added = lines.filter((l) => l.op === "+").length;
  const removed = lines.filter((l) => l.op === "-").length;
  return added + removed === 0 ? "nothing differs" : `${added} ${added === 1 ? "line" : "lines"} added, ${removed} removed`;
};
