import { memo } from "react";
import type { Instance } from "../api/client";
import { type LiveInstance, type LiveService, type Points, shareOf, slots } from "../live/feed";
import { factor, percent, rate, wholePercent } from "../ui/format";
import { BreakIcon, CheckIcon, CrossIcon, DrainIcon, EjectIcon, InfoIcon, WarmIcon, WarnIcon } from "../ui/icons";
import { costOf, dominant, segments, unit } from "./cost";

/** The state in a word and an icon. */
type Standing = Pick<Instance, "state" | "condition" | "failures" | "cost" | "demoFault">;

export function State({ i }: { i: Standing }) {
  const [kind, word, icon] = stateOf(i);
  return (
    <span className={`state ${kind}`}>
      {icon} {word}
      {i.demoFault && (
        <span className="tag warn" title="This demo instance is broken on purpose">
          <BreakIcon /> <span className={kind === "ok" ? undefined : "visually-hidden"}>broken</span>
        </span>
      )}
    </span>
  );
}

function stateOf(i: Standing): [string, string, React.ReactNode] {
  const out = i.condition === "silenced" ? "warn" : "bad"; // an operator silenced it, so it is known
  switch (i.state) {
    case "draining":
      return ["warn", "draining", <DrainIcon key="i" />];
    case "ejected":
      return [out, "ejected", <EjectIcon key="i" />];
    case "backup":
      return ["muted", "backup", <InfoIcon key="i" />];
    case "other-zone":
      return ["muted", "other zone", <InfoIcon key="i" />];
    case "unhealthy":
      return [out, "unhealthy", <CrossIcon key="i" />];
    case "reported-unhealthy":
      return [out, "reported down", <CrossIcon key="i" />];
    default:
      if (i.condition === "failing") return ["bad", "failing", <WarnIcon key="i" />];
      if (i.condition === "silenced") return ["warn", "alert silenced", <WarnIcon key="i" />];
      if (i.condition === "unknown") return ["muted", "no data", <InfoIcon key="i" />];
      return i.cost.slowStart < 1 ? ["info", `warming ${wholePercent(i.cost.slowStart)}`, <WarmIcon key="i" />] : ["ok", "in", <CheckIcon key="i" />];
  }
}

/** The right end of a service's share bars: a round number, so that bars keep their scale. */
export function shareScale(s: LiveService): number {
  const most = s.instances.reduce((m, i) => Math.max(m, shareOf(s, i), i.fairShare), 0);
  return [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75].find((s) => most <= s) ?? 1;
}

/** The share of the service's traffic, with a mark at the fair share. */
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

/** A path over two minutes, the newest second at the right end; least is the height, in units of 24, of the smallest value that is not zero. Seconds of equal height are one stroke. */
export function line(values: Float32Array, head: number, top: number, least = 0): string {
  let d = "";
  let before = Number.NaN;
  for (let n = 0; n < slots; n++) {
    const v = values[(head + 1 + n) % slots] ?? 0;
    const y = Math.round((23 - (v > 0 ? Math.max(least, (Math.min(v, top) / top) * 22) : 0)) * 10) / 10;
    if (y === before && n < slots - 1) continue;
    if (n === 0) d = `M.5 ${y}`;
    else d += y === before ? `H${n + 0.5}` : `${Number.isNaN(before) ? "" : `H${n - 0.5}`}L${n + 0.5} ${y}`;
    before = y;
  }
  return d;
}

/**
 * Requests per second over two minutes, errors in front. All instances of a service have the same scale. It is drawn as
 * SVG paths: a canvas makes the compositor create a layer for itself and for everything painted after it. With a canvas
 * in each row, these layers took a third of the time of a scrolled frame.
 */
export const Spark = memo(function Spark({ points, head, top, now }: { points: Points; head: number; top: number; now: number }) {
  const d = line(points.requests, head, top);
  return (
    <svg className="spark" viewBox={`0 0 ${slots} 24`} preserveAspectRatio="none" role="img" aria-label={`${rate(now)} requests per second now, up to ${rate(top)} in two minutes`}>
      <path className="area" d={`${d}V23H.5Z`} />
      <path className="curve" d={d} vectorEffect="non-scaling-stroke" />
      {points.errors.some((v) => v > 0) && <path className="errors-area" d={`${line(points.errors, head, top, 3)}V23H.5Z`} />}
    </svg>
  );
});

/** The cost with its factors. */
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
