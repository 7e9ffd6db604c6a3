import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { type CSSProperties, type ReactElement, type RefObject, useEffect, useImperativeHandle, useLayoutEffect, useMemo, useReducer, useRef, useState } from "react";

export type GoTo = (index: number, align: "start" | "center") => void;

interface Props<T> {
  className: string;
  /** All rows; another array means that they may have changed. */
  list: readonly T[];
  keyOf: (row: T) => string;
  /** The height of a row, px. */
  height: (row: T) => number;
  /** What heights follow from beside the rows: when it changes, they are taken anew. */
  sized?: string | number | boolean;
  /** Makes a row, whose outermost element takes the style. Another function means that all rows are to be made anew. */
  row: (row: T, index: number, style: CSSProperties) => ReactElement;
  /** Makes what stands for a row while so many rush by that nobody can read them; the row itself where nothing is given. */
  hasty?: Props<T>["row"];
  /** Rows that are in the page above and below what is seen. */
  overscan?: number;
  /** What covers the upper end of the window, px: a row that is gone to stands below it. */
  covered?: number;
  /** Takes the way to go to a row. */
  goTo?: RefObject<GoTo | null>;
}

/** A row that is in sight, before it is drawn. */
interface Item<T> {
  row: T;
  key: string;
  index: number;
  top: number;
  height: number;
}

interface Drawn<T> extends Item<T> {
  by: Props<T>["row"];
  element: ReactElement;
}

// The cost of a row is a good part of a frame: at most so many are drawn in one frame of a scroll.
const perFrame = 3;

/**
 * Draws rows, and keeps those that did not change. It depends on what it drew before, and React may discard a render:
 * then a row is drawn again or one frame later, but it is never wrong.
 */
class Painter<T> {
  private drawn = new Map<string, Drawn<T>>();
  private hurried = false; // some rows are drawn by hasty, or are of earlier data

  /** Returns an element for each item, and whether some of them are to be drawn again in the next frame. */
  draw(items: Item<T>[], row: Props<T>["row"], hasty: Props<T>["row"] | undefined, scrolling: boolean): { elements: ReactElement[]; late: boolean } {
    const rush = hasty !== undefined && scrolling && items.reduce((n, i) => n + (this.drawn.has(i.key) ? 0 : 1), 0) > perFrame;
    let left = scrolling || this.hurried ? perFrame : Number.POSITIVE_INFINITY;
    this.hurried = rush;
    const next = new Map<string, Drawn<T>>();
    let late = false;
    for (const item of items) {
      const before = this.drawn.get(item.key);
      const inPlace = before !== undefined && before.index === item.index && before.top === item.top && before.height === item.height;
      const stale = before === undefined || before.row !== item.row || before.by !== row;
      if (inPlace && (!stale || rush || left <= 0)) {
        next.set(item.key, before);
        if (!stale) continue;
        late = true;
        this.hurried ||= before.by === hasty;
        continue;
      }
      const by = rush ? hasty : row;
      late ||= rush;
      left--;
      next.set(item.key, { ...item, by, element: by(item.row, item.index, { top: item.top, height: item.height }) });
    }
    this.drawn = next;
    return { elements: [...next.values()].map((d) => d.element), late };
  }
}

/** The key of a row is its index. Another function tells the virtualizer that heights may have changed. */
const keysOf = (_list: readonly unknown[], _sized: unknown) => (n: number) => n;

/**
 * The rows of a list of any length that are in sight as the window scrolls, as a
 * rowgroup.
 *
 * What makes scrolling smooth: a row that only moves is not made again; keys and
 * heights are asked for once for each list and not for each row that comes into
 * sight; rows stand by their top edge and not by a transform, which would be one
 * more thing for the compositor to arrange in each frame; data that come while
 * somebody scrolls reach the rows a few in each frame; and rows that rush by are
 * only stood for, until there is time to make them.
 */
export function Rows<T>({ className, list, keyOf, height, sized, row, hasty, overscan = 6, covered = 0, goTo }: Props<T>) {
  const body = useRef<HTMLDivElement>(null);
  const [margin, setMargin] = useState(0);
  const virtual = useWindowVirtualizer({
    count: list.length,
    getItemKey: useMemo(() => keysOf(list, sized), [list, sized]),
    estimateSize: (n) => {
      const at = list[n];
      return at === undefined ? 0 : height(at);
    },
    overscan,
    scrollMargin: margin,
    scrollPaddingStart: covered,
  });
  const scrolling = virtual.isScrolling;
  const measure = () => setMargin(Math.round((body.current?.getBoundingClientRect().top ?? 0) + scrollY));
  useLayoutEffect(() => {
    if (!scrolling) measure(); // what stands above comes and goes
  });
  useEffect(() => {
    const watch = new ResizeObserver(measure);
    watch.observe(document.body);
    return () => watch.disconnect();
  }, []);
  useImperativeHandle(goTo, () => (index, align) => virtual.scrollToIndex(index, { align }), [virtual]);

  const [, again] = useReducer((n: number) => n + 1, 0);
  const [painter] = useState(() => new Painter<T>());
  const items = virtual.getVirtualItems().flatMap((v) => {
    const r = list[v.index];
    return r === undefined ? [] : [{ row: r, key: keyOf(r), index: v.index, top: v.start - margin, height: v.size }];
  });
  const { elements, late } = painter.draw(items, row, hasty, scrolling);
  useEffect(() => {
    if (!late) return;
    const frame = requestAnimationFrame(again);
    return () => cancelAnimationFrame(frame);
  });
  return (
    <div role="rowgroup" ref={body} className={`rows-body ${className}`} style={{ height: virtual.getTotalSize() }}>
      {elements}
    </div>
  );
}
