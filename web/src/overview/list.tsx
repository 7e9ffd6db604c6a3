import { type CSSProperties, type RefObject, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { type LiveOverview, type LiveService, shareOf, topOf } from "../live/feed";
import { type GoTo, Rows } from "../ui/rows";
import { type Line, linesOf, type View } from "./lines";
import { shareScale } from "./marks";
import { Cells, columns, openInstance, ServiceLine } from "./row";

// rem; narrow, where an instance is a card, as in overview.css, and tight, where a service's figures need lines of their own
const heights = { wide: { service: 3, instance: 2.125 }, narrow: { service: 3, instance: 6.5 }, tight: { service: 7.25, instance: 6.5 } };
const shapeOf = (width: number): keyof typeof heights => (width < 620 ? "tight" : width < 760 ? "narrow" : "wide");

const few = 60; // lines with animated bars; with more lines, bars change at once

interface Props {
  o: LiveOverview;
  view: View;
  toggle: (service: string) => void;
  selected: { service: string; id: string } | undefined;
  /** A service to go to, once for each value. */
  jump: string;
}

/** Services and their instances; the page contains only the rows in sight. */
export function List({ o, view, toggle, selected, jump }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const [shape, setShape] = useState(() => shapeOf(innerWidth));
  useLayoutEffect(() => {
    const e = place.current;
    if (!e) return;
    const measure = () => setShape(shapeOf(e.clientWidth));
    measure();
    const watch = new ResizeObserver(measure);
    watch.observe(e);
    return () => watch.disconnect();
  }, []);
  const [held, hold] = useState(false);
  const [kept, keep] = useState<{ by: string; at: Map<string, number> } | null>(null); // the order of the lines while they are held
  const before = kept?.by === view.order ? kept.at : undefined;
  const lines = useMemo(() => linesOf(o, view, before), [o, view, before]);
  if (held && !before) keep({ by: view.order, at: new Map(lines.map((l, n) => [l.key, n])) });
  if (!held && kept) keep(null);
  const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
  const size = heights[shape];
  const goTo = useRef<GoTo>(null);
  const chosen = selected && `${selected.service}\n${selected.id}`;
  useJump(goTo, lines, jump, "start");
  useJump(goTo, lines, chosen ?? "", "center");
  const [row, hasty] = useMemo(() => {
    const row = rowOf(o, chosen, toggle);
    return [row, hastyOf(row)];
  }, [o, chosen, toggle]);
  return (
    <div ref={place} className={`instances ${lines.length <= few ? "few" : ""}`} role="table" aria-label="Services and their instances" aria-rowcount={lines.length + 1} onPointerEnter={() => hold(true)} onPointerLeave={() => hold(false)}>
      <div role="rowgroup" className="instances-head">
        <div role="row" aria-rowindex={1} className="instance">
          {columns.map(([key, name, about]) => (
            <div key={key} role="columnheader" className={`col-${key}`} title={about || undefined}>
              {name}
            </div>
          ))}
        </div>
      </div>
      <Rows
        className="instances-body"
        list={lines}
        keyOf={keyOf}
        height={(l) => Math.round((l.i ? size.instance : size.service) * rem)}
        sized={`${shape} ${rem}`}
        row={row}
        hasty={hasty}
        covered={5 * rem} // the bar and the head of the list
        goTo={goTo}
      />
    </div>
  );
}

const keyOf = (l: Line) => l.key;

/** How the lines of an overview are drawn. */
function rowOf(o: LiveOverview, chosen: string | undefined, toggle: (service: string) => void) {
  const now = Date.parse(o.at);
  const scales = new Map<LiveService, { share: number; top: number }>();
  const scaleOf = (s: LiveService) => {
    let v = scales.get(s);
    if (!v) {
      v = { share: shareScale(s), top: topOf(s) };
      scales.set(s, v);
    }
    return v;
  };
  return (line: Line, index: number, style: CSSProperties) => {
    const { key, s, i } = line;
    if (!i) {
      return (
        <div key={key} role="row" aria-rowindex={index + 2} className="service" data-service={s.id} style={style}>
          <ServiceLine s={s} open={line.open} shown={line.shown} toggle={() => toggle(s.id)} />
        </div>
      );
    }
    const scale = scaleOf(s);
    return (
      <div
        key={key}
        role="row"
        aria-rowindex={index + 2}
        className={`instance ${i.state === "in" ? "" : `out ${i.state}`} ${chosen === key ? "selected" : ""}`}
        data-instance={i.id}
        style={style}
        onClick={(e) => e.defaultPrevented || getSelection()?.toString() || openInstance(s.id, i.id)}
      >
        <Cells i={i} service={s.id} share={shareOf(s, i)} scale={scale.share} top={scale.top} head={o.head} now={now} />
      </div>
    );
  };
}

/** The placeholder of an instance during a fast scroll: its name. */
function hastyOf(row: ReturnType<typeof rowOf>): typeof row {
  return (line, index, style) =>
    line.i ? (
      <div key={line.key} role="row" aria-rowindex={index + 2} className="instance" style={style}>
        <div role="rowheader" className="col-id">
          <b className="cover">{line.i.id}</b>
        </div>
      </div>
    ) : (
      row(line, index, style)
    );
}

/** Scrolls to the line with a key once for each key, when the line is there; "" is no line. */
function useJump(goTo: RefObject<GoTo | null>, lines: Line[], key: string, align: "start" | "center") {
  const done = useRef("");
  const at = key === "" ? -1 : lines.findIndex((l) => l.key === key);
  useEffect(() => {
    if (key === "") done.current = "";
    if (at < 0 || done.current === key) return;
    done.current = key;
    const row = document.querySelector(`[data-service="${CSS.escape(key)}"],[data-instance="${CSS.escape(key.split("\n")[1] ?? "")}"]`);
    const seen = row?.getBoundingClientRect();
    if (align === "center" && seen && seen.top > 60 && seen.bottom < innerHeight) return; // it is in sight
    goTo.current?.(at, align);
  }, [goTo, at, key, align]);
}
