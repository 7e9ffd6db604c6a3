import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { type CSSProperties, type ReactElement, type RefObject, useCallback, useEffect, useImperativeHandle, useLayoutEffect, useReducer, useRef, useState } from "react";

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

interface Made<T> {
  row: T;
  index: number;
  top: number;
  height: number;
  by: Props<T>["row"];
  element: ReactElement;
}

// What a row costs is a good part of a frame: so many are made in one frame of a scroll.
const perFrame = 3;

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
  const latest = useRef({ list, height });
  latest.current = { list, height };
  const virtual = useWindowVirtualizer({
    count: list.length,
    // Its keys are never used, but another function is how it learns that heights may be other ones.
    getItemKey: useCallback((n: number) => n, [list, sized]),
    estimateSize: useCallback((n: number) => {
      const at = latest.current.list[n];
      return at === undefined ? 0 : latest.current.height(at);
    }, []),
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
  useImperativeHandle(goTo, () => (index, align) => virtual.scrollToIndex(index, { align }), []);

  const [, again] = useReducer((n: number) => n + 1, 0);
  const made = useRef(new Map<string, Made<T>>());
  const hurried = useRef(false); // some rows are only stood for
  const next = new Map<string, Made<T>>();
  const items = virtual.getVirtualItems().flatMap((v) => {
    const r = list[v.index];
    return r === undefined ? [] : [{ r, key: keyOf(r), index: v.index, top: v.start - margin, height: v.size }];
  });
  const rush = hasty !== undefined && scrolling && items.reduce((n, i) => n + (made.current.has(i.key) ? 0 : 1), 0) > perFrame;
  let left = scrolling || hurried.current ? perFrame : Number.POSITIVE_INFINITY;
  hurried.current = rush;
  let late = false;
  for (const { r, key, index, top, height } of items) {
    const before = made.current.get(key);
    const inPlace = before !== undefined && before.index === index && before.top === top && before.height === height;
    const stale = before === undefined || before.row !== r || before.by !== row;
    if (inPlace && (!stale || rush || left <= 0)) {
      next.set(key, before);
      if (!stale) continue;
      late = true;
      hurried.current ||= before.by === hasty;
      continue;
    }
    const by = rush ? hasty : row;
    late ||= rush;
    left--;
    next.set(key, { row: r, index, top, height, by, element: by(r, index, { top, height }) });
  }
  made.current = next;
  useEffect(() => {
    if (!late) return;
    const frame = requestAnimationFrame(again);
    return () => cancelAnimationFrame(frame);
  });
  return (
    <div role="rowgroup" ref={body} className={`rows-body ${className}`} style={{ height: virtual.getTotalSize() }}>
      {[...next.values()].map((m) => m.element)}
    </div>
  );
}
