import { memo, useEffect, useRef } from "react";
import type { Instance } from "../api/client";
import { type LiveInstance, type LiveService, type Points, shareOf, slots } from "../live/feed";
import { factor, percent, rate } from "../ui/format";
import { BreakIcon, CheckIcon, CrossIcon, DrainIcon, EjectIcon, WarmIcon } from "../ui/icons";
import { costOf, dominant, segments, unit } from "./cost";

/** The state in a word and an icon. */
type Standing = Pick<Instance, "state" | "cost" | "demoFault">;

export function State({ i }: { i: Standing }) {
  const [kind, word, icon] = stateOf(i);
  return (
    <span className={`state ${kind}`}>
      {icon} {word}
      {i.demoFault && (
        <span className="tag warn" title="This demo instance was told to misbehave">
          <BreakIcon /> <span className={kind === "ok" ? undefined : "visually-hidden"}>broken</span>
        </span>
      )}
    </span>
  );
}

function stateOf(i: Standing): [string, string, React.ReactNode] {
  switch (i.state) {
    case "draining":
      return ["warn", "draining", <DrainIcon key="i" />];
    case "ejected":
      return ["bad", "ejected", <EjectIcon key="i" />];
    case "unhealthy":
      return ["bad", "unhealthy", <CrossIcon key="i" />];
    case "reported-unhealthy":
      return ["bad", "reported down", <CrossIcon key="i" />];
    default:
      return i.cost.slowStart < 1 ? ["info", `warming ${(i.cost.slowStart * 100).toFixed(0)} %`, <WarmIcon key="i" />] : ["ok", "in", <CheckIcon key="i" />];
  }
}

/** The right end of a service's share bars: a round number, so that bars keep their scale. */
export function shareScale(s: LiveService): number {
  const most = s.instances.reduce((m, i) => Math.max(m, shareOf(s, i), i.fairShare), 0);
  return [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75].find((s) => most <= s) ?? 1;
}

/** The share of the service's traffic, with a mark where the fair share is. */
export function Share({ share, fair, scale }: { share: number; fair: number; scale: number }) {
  return (
    <div className="share" title={`${percent(share)} of the requests; by weight it would be ${percent(fair)}`}>
      <span className="track">
        <span className="fill" style={{ width: `${Math.min(100, (share / scale) * 100)}%` }} />
        <span className="fair" style={{ left: `${Math.min(100, (fair / scale) * 100)}%` }} />
      </span>
      <span className="num">{percent(share)}</span>
    </div>
  );
}

const height = 44;

/** Requests per second over two minutes, errors in front, on the scale that all instances of the service share. Drawn on a canvas: thousands of paths would be thousands of elements. */
export const Spark = memo(function Spark({ points, head, top, now, inks }: { points: Points; head: number; top: number; now: number; inks: Inks }) {
  const ref = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const canvas = ref.current;
    const g = canvas?.getContext("2d");
    if (canvas && g) draw(g, inks, points, head, top);
  });
  return <canvas ref={ref} className="spark" width={2 * slots} height={height} role="img" aria-label={`${rate(now)} requests per second now, up to ${rate(top)} in two minutes`} />;
});

/** The colours of a sparkline, resolved once for all of them: asking each canvas would compute styles hundreds of times. */
export interface Inks {
  curve: string;
  area: string;
  errors: string;
}

/** The inks of the present theme. */
export function inksOf(at: HTMLElement): Inks {
  const probe = document.createElement("i");
  at.append(probe);
  const ink = (name: string) => {
    probe.style.color = `var(${name})`; // light-dark() is resolved only in colours that are used
    return getComputedStyle(probe).color;
  };
  const inks = { curve: ink("--c-latency"), area: ink("--track"), errors: ink("--bad-fill") };
  probe.remove();
  return inks;
}

function draw(g: CanvasRenderingContext2D, inks: Inks, points: Points, head: number, top: number) {
  g.clearRect(0, 0, 2 * slots, height);
  const y = (v: number, least = 0) => height - 2 - (v > 0 ? Math.max(least, (Math.min(v, top) / top) * (height - 5)) : 0);
  const path = (values: Float32Array, least: number) => {
    const p = new Path2D();
    for (let n = 0; n < slots; n++) {
      const at = y(values[(head + 1 + n) % slots] ?? 0, least);
      if (n === 0) p.moveTo(1, at);
      else p.lineTo(2 * n + 1, at);
    }
    return p;
  };
  const below = (p: Path2D) => {
    const area = new Path2D(p);
    area.lineTo(2 * slots - 1, height - 1);
    area.lineTo(1, height - 1);
    return area;
  };
  const requests = path(points.requests, 0);
  g.fillStyle = inks.area;
  g.fill(below(requests));
  g.strokeStyle = inks.curve;
  g.lineWidth = 2;
  g.stroke(requests);
  if (points.errors.some((v) => v > 0)) {
    g.fillStyle = inks.errors;
    g.fill(below(path(points.errors, 5)));
  }
}

/** The cost with the factors that make it. */
export function CostBar({ i }: { i: Pick<LiveInstance, "cost" | "weight"> }) {
  const list = costOf(i);
  const words = list
    .filter((p) => Math.abs(p.factor - 1) >= 0.02)
    .map((p) => `${p.name} ×${factor(p.factor)}`)
    .join(", ");
  const top = dominant(list);
  return (
    <div className="cost" title={words || "every factor is 1"}>
      <span className="num">{factor(i.cost.total)}</span>
      <span className="track">
        {segments(list).map((s) => (
          <span key={s.part.kind} className={`segment c-${s.part.kind}`} style={{ left: `${s.from * 100}%`, width: `${s.width * 100}%` }} />
        ))}
        <span className="one" style={{ left: `${unit * 100}%` }} />
      </span>
      <span className={`why ${top && top.factor > 10 ? "bad-text" : ""}`}>{top ? `${top.name} ×${factor(top.factor)}` : ""}</span>
    </div>
  );
}
