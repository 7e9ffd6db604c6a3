import { useMemo } from "react";
import type { DiffLine } from "../api/client";
import { Region } from "../ui/sheet";

const around = 3; // equal lines shown beside a change

export type Shown = DiffLine | { gap: number };

/** The lines near changes; what is left out is counted. */
export function near(lines: DiffLine[], whole = false): Shown[] {
  if (whole) return lines;
  const keep = new Uint8Array(lines.length);
  lines.forEach((l, n) => {
    if (l.op !== "=") keep.fill(1, Math.max(0, n - around), n + around + 1);
  });
  const out: Shown[] = [];
  lines.forEach((l, n) => {
    const last = out.at(-1);
    if (keep[n]) out.push(l);
    else if (last && "gap" in last) last.gap++;
    else out.push({ gap: 1 });
  });
  return out;
}

/** Lines side by side: removed ones stand beside those that took their place. */
export function pairs(lines: Shown[]): [Shown | null, Shown | null][] {
  const out: [Shown | null, Shown | null][] = [];
  for (let n = 0; n < lines.length; ) {
    const l = lines[n];
    if (!l || "gap" in l || l.op === "=") {
      if (l) out.push([l, l]);
      n++;
      continue;
    }
    const removed: Shown[] = [];
    const added: Shown[] = [];
    for (; n < lines.length; n++) {
      const x = lines[n];
      if (!x || "gap" in x || x.op === "=") break;
      (x.op === "-" ? removed : added).push(x);
    }
    for (let k = 0; k < Math.max(removed.length, added.length); k++) out.push([removed[k] ?? null, added[k] ?? null]);
  }
  return out;
}

/** Compares two texts line by line; for what is small, such as the JSON of an audit record. */
export function compare(first: string, second: string): DiffLine[] {
  const a = first === "" ? [] : first.split("\n").slice(0, 400);
  const b = second === "" ? [] : second.split("\n").slice(0, 400);
  const table = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  const at = (i: number, j: number) => table[i]?.[j] ?? 0;
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      const row = table[i];
      if (row) row[j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const out: DiffLine[] = [];
  for (let i = 0, j = 0; i < a.length || j < b.length; ) {
    if (i < a.length && j < b.length && a[i] === b[j]) out.push({ op: "=", from: ++i, to: ++j, text: a[i - 1] ?? "" });
    else if (i < a.length && (j === b.length || at(i + 1, j) >= at(i, j + 1))) out.push({ op: "-", from: ++i, text: a[i - 1] ?? "" });
    else out.push({ op: "+", to: ++j, text: b[j - 1] ?? "" });
  }
  return out;
}

const signs = { "=": " ", "-": "−", "+": "+" } as const;
const words = { "=": "", "-": "removed: ", "+": "added: " } as const;

/** A difference, as one column or as two. */
export function Diff({ lines, split = false, whole = false, label }: { lines: DiffLine[]; split?: boolean; whole?: boolean; label: string }) {
  const shown = useMemo(() => near(lines, whole), [lines, whole]);
  if (!lines.some((l) => l.op !== "=") && !whole) return <p className="muted">Nothing differs.</p>;
  return (
    <Region label={label} className={`diff ${split ? "split" : ""}`}>
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
            ? pairs(shown).map(([left, right], n) => (
                <tr key={n}>
                  <Half l={left} side="from" />
                  <Half l={right} side="to" />
                </tr>
              ))
            : shown.map((l, n) =>
                "gap" in l ? (
                  <Gap key={n} gap={l.gap} span={3} />
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

function Gap({ gap, span }: { gap: number; span: number }) {
  return (
    <tr className="gap">
      <td colSpan={span}>
        {gap} equal {gap === 1 ? "line" : "lines"}
      </td>
    </tr>
  );
}

function Half({ l, side }: { l: Shown | null; side: "from" | "to" }) {
  if (!l) return <td className="none" colSpan={2} />;
  if ("gap" in l) return <td className="gap-cell" colSpan={2}>{side === "from" ? `${l.gap} equal lines` : ""}</td>;
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
