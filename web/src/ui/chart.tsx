import { useEffect, useEffectEvent, useMemo, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { axisTime, clock } from "./format";
import { useScheme } from "./theme";

export interface Line {
  name: string;
  /** A custom property of tokens.css, such as --accent. */
  colour: string;
  /** One value for each point in time; null if there is no measurement. */
  points: (number | null)[];
}

interface Props {
  label: string;
  /** Times of the points, ms since 1970, ascending. */
  times: number[];
  lines: Line[];
  /** Formats a value: 12.3k, 4 MiB. */
  format: (v: number) => string;
  height?: number;
}

/** Lines over time, drawn on a canvas. Its label has the same numbers as text. */
export function Chart({ label, times, lines, format, height = 140 }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [at, setAt] = useState<number | null>(null); // the point under the pointer
  const data = useMemo(() => [times.map((t) => t / 1000), ...lines.map((l) => l.points)] as uPlot.AlignedData, [times, lines]);
  const scheme = useScheme();
  const shape = lines.map((l) => l.name + l.colour).join();
  const draw = useEffectEvent((box: HTMLDivElement) => {
    const style = getComputedStyle(box);
    // A canvas needs plain colours. light-dark() is resolved only in a colour that an element uses, so a probe element uses it.
    const paint = (name: string) => {
      const probe = document.createElement("i");
      probe.style.color = `var(${name})`;
      box.append(probe);
      const c = getComputedStyle(probe).color;
      probe.remove();
      return c;
    };
    const axis: uPlot.Axis = { stroke: paint("--muted"), grid: { stroke: paint("--line"), width: 1 }, ticks: { show: false }, font: `11px ${style.fontFamily}` };
    return new uPlot(
      {
        width: box.clientWidth,
        height,
        legend: { show: false },
        cursor: { y: false, points: { size: 5 } },
        hooks: { setCursor: [(u) => setAt(u.cursor.left == null || u.cursor.left < 0 ? null : (u.cursor.idx ?? null))] },
        scales: { y: { range: (_, __, max) => [0, max > 0 ? max * 1.1 : 1] } },
        axes: [{ ...axis, size: 28, values: (_, ticks) => ticks.map((t) => axisTime(t * 1000, ((ticks[1] ?? 0) - (ticks[0] ?? 0)) * 1000)) }, { ...axis, size: 56, values: (_, ticks) => ticks.map((v) => format(v)) }],
        series: [{}, ...lines.map((l) => ({ label: l.name, stroke: paint(l.colour), width: 1.5, points: { show: false }, spanGaps: false }))],
      },
      data,
      box,
    );
  });
  useEffect(() => {
    const box = place.current;
    if (!box) return;
    const p = draw(box);
    plot.current = p;
    const resize = new ResizeObserver(() => p.setSize({ width: box.clientWidth, height }));
    resize.observe(box);
    return () => {
      resize.disconnect();
      p.destroy();
      plot.current = null;
    };
  }, [shape, height, scheme]);
  useEffect(() => plot.current?.setData(data), [data]);
  const dated = at === null ? times.at(-1) : times[at]; // other numbers on the page may be newer
  const now = lines.map((l) => `${l.name} ${lastOf(l.points, format)}`).join(", ");
  return (
    <figure className="chart">
      <div ref={place} role="img" aria-label={`${label}; now ${now}`} style={{ height }} />
      <figcaption aria-hidden="true">
        {lines.map((l) => (
          <span key={l.name}>
            <i className="swatch" style={{ background: `var(${l.colour})` }} /> {l.name} <b className="num">{at === null ? lastOf(l.points, format) : lastOf([l.points[at] ?? null], format)}</b>
          </span>
        ))}
        {dated !== undefined && <span>at {clock(dated)}</span>}
      </figcaption>
    </figure>
  );
}

function lastOf(points: (number | null)[], format: (v: number) => string): string {
  const v = points.at(-1);
  return v == null ? "unknown" : format(v);
}
