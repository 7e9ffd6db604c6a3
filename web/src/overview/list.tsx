import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { type LiveOverview, type LiveService, shareOf, topOf } from "../live/feed";
import { type Line, linesOf, type View } from "./lines";
import { shareScale } from "./marks";
import { Cells, columns, openInstance, ServiceLine } from "./row";

const narrowAt = 680; // px of the list, as in overview.css
const heights = { wide: { service: 3, instance: 2.125 }, narrow: { service: 5.75, instance: 6.5 } }; // rem

interface Props {
  o: LiveOverview;
  view: View;
  toggle: (service: string) => void;
  selected: { service: string; id: string } | undefined;
  /** A service to go to, once for each value. */
  jump: string;
}

/** Services and their instances; only what is seen is in the page. */
export function List({ o, view, toggle, selected, jump }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const [box, setBox] = useState({ top: 0, narrow: innerWidth < narrowAt });
  useLayoutEffect(() => {
    const e = place.current;
    if (!e) return;
    const measure = () => setBox((b) => same(b, { top: Math.round(e.getBoundingClientRect().top + scrollY), narrow: e.clientWidth < narrowAt }));
    measure();
    const watch = new ResizeObserver(measure);
    watch.observe(e);
    return () => watch.disconnect();
  }, []);
  const [held, hold] = useState(false);
  const order = useRef<{ by: string; at: Map<string, number> }>({ by: "", at: new Map() });
  const lines = useMemo(() => {
    const keep = held && order.current.by === view.order;
    const list = linesOf(o, view, keep ? order.current.at : undefined);
    if (!keep) order.current = { by: view.order, at: new Map(list.map((l, n) => [l.key, n])) };
    return list;
  }, [o, view, held]);
  const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
  const size = box.narrow ? heights.narrow : heights.wide;
  const virtual = useWindowVirtualizer({
    count: lines.length,
    estimateSize: (n) => Math.round((lines[n]?.i ? size.instance : size.service) * rem),
    getItemKey: (n) => lines[n]?.key ?? n,
    overscan: 6,
    scrollMargin: box.top,
    scrollPaddingStart: 5 * rem, // the bar and the head of the list
  });
  useLayoutEffect(() => virtual.measure(), [lines.length, box.narrow, rem]);
  useJump(virtual.scrollToIndex, lines, jump ? { key: jump, align: "start" } : undefined);
  useJump(virtual.scrollToIndex, lines, selected && { key: `${selected.service}\n${selected.id}`, align: "center" });
  const now = Date.parse(o.at);
  const scales = useMemo(() => new Map<LiveService, { share: number; top: number }>(), [o]);
  const scaleOf = (s: LiveService) => {
    let v = scales.get(s);
    if (!v) {
      v = { share: shareScale(s), top: topOf(s) };
      scales.set(s, v);
    }
    return v;
  };
  return (
    <div className="instances" role="table" aria-label="Services and their instances" aria-rowcount={lines.length + 1} onPointerEnter={() => hold(true)} onPointerLeave={() => hold(false)}>
      <div role="rowgroup" className="instances-head">
        <div role="row" aria-rowindex={1} className="instance">
          {columns.map(([key, name, about]) => (
            <div key={key} role="columnheader" className={`col-${key}`} title={about || undefined}>
              {name}
            </div>
          ))}
        </div>
      </div>
      <div role="rowgroup" ref={place} className="instances-body" style={{ height: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map((v) => {
          const line = lines[v.index];
          if (!line) return null;
          const { s, i } = line;
          const style = { height: v.size, top: v.start - box.top };
          if (!i) {
            return (
              <div key={v.key} role="row" aria-rowindex={v.index + 2} className="service" data-service={s.id} style={style}>
                <ServiceLine s={s} open={line.open} shown={line.shown} toggle={() => toggle(s.id)} />
              </div>
            );
          }
          const scale = scaleOf(s);
          const chosen = selected?.service === s.id && selected.id === i.id;
          return (
            <div
              key={v.key}
              role="row"
              aria-rowindex={v.index + 2}
              className={`instance ${i.state === "in" ? "" : `out ${i.state}`} ${chosen ? "selected" : ""}`}
              data-instance={i.id}
              style={style}
              onClick={(e) => e.defaultPrevented || getSelection()?.toString() || openInstance(s.id, i.id)}
            >
              <Cells i={i} service={s.id} share={shareOf(s, i)} scale={scale.share} top={scale.top} head={o.head} now={now} />
            </div>
          );
        })}
      </div>
    </div>
  );
}

const same = <T extends object>(a: T, b: T): T => (JSON.stringify(a) === JSON.stringify(b) ? a : b);

/** Scrolls to a line once for each target, when it is there. */
function useJump(scroll: (index: number, o: { align: "start" | "center" }) => void, lines: Line[], to: { key: string; align: "start" | "center" } | undefined) {
  const done = useRef("");
  const at = to ? lines.findIndex((l) => l.key === to.key) : -1;
  useEffect(() => {
    if (!to) done.current = "";
    if (!to || at < 0 || done.current === to.key) return;
    done.current = to.key;
    const row = document.querySelector(`[data-service="${CSS.escape(to.key)}"],[data-instance="${CSS.escape(to.key.split("\n")[1] ?? "")}"]`);
    const seen = row?.getBoundingClientRect();
    if (to.align === "center" && seen && seen.top > 60 && seen.bottom < innerHeight) return; // it is in sight
    scroll(at, { align: to.align });
  }, [at < 0, to?.key]);
}
