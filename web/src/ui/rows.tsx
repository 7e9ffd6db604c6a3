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
  /** Any value other than the rows on which heights depend; when it changes, they are measured again. */
  sized?: string | number | boolean;
  /** Makes a row, whose outermost element takes the style. With another function, all rows are drawn again. */
  row: (row: T, index: number, style: CSSProperties) => ReactElement;
  /** Makes a placeholder for a row while rows scroll by too fast to be read; the row itself by default. */
  hasty?: Props<T>["row"];
  /** Rows that are drawn above and below the rows in sight. */
  overscan?: number;
  /** Height of what covers the upper end of the window, px: goTo puts the row below it. */
  covered?: number;
  /** Takes the function that scrolls to a row. */
  goTo?: RefObject<GoTo | null>;
}

/** A row in sight that is not drawn yet. */
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

// Drawing a row takes a large part of a frame, so a frame of a scroll draws at most this many.
const perFrame = 3;

/**
 * Draws rows, and keeps the elements of rows that did not change. React may discard a render; then a row is drawn again
 * or one frame later, and its content is still correct.
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
 * A rowgroup with the rows in sight of a list of any length, which scrolls with the window.
 *
 * Scrolling is smooth because
 * - a row that only moves is not drawn again;
 * - keys and heights are computed once per list, not once per row that comes into sight;
 * - rows are placed by their top edge; a transform would give the compositor more work in each frame;
 * - data that arrives during a scroll reaches a few rows in each frame;
 * - rows that scroll by too fast are placeholders until there is time to draw them.
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
    if (!scrolling) measure(); // the content above may have changed its height
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
