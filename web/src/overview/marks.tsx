import { memo } from "react";
import type { Instance } from "../api/client";
import { factor, percent, rate } from "../ui/format";
import { BreakIcon, CheckIcon, CrossIcon, DrainIcon, EjectIcon, WarmIcon } from "../ui/icons";
import { costOf, dominant, segments, unit } from "./cost";

/** The state in a word and an icon. */
export function State({ i }: { i: Instance }) {
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

function stateOf(i: Instance): [string, string, React.ReactNode] {
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
export function shareScale(instances: Instance[]): number {
  const most = instances.reduce((m, i) => Math.max(m, i.share, i.fairShare), 0);
  return [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75].find((s) => most <= s) ?? 1;
}

/** The share of the service's traffic, with a mark where the fair share is. */
export function Share({ i, scale }: { i: Instance; scale: number }) {
  return (
    <div className="share" title={`${percent(i.share)} of the requests; by weight it would be ${percent(i.fairShare)}`}>
      <span className="track">
        <span className="fill" style={{ width: `${Math.min(100, (i.share / scale) * 100)}%` }} />
        <span className="fair" style={{ left: `${Math.min(100, (i.fairShare / scale) * 100)}%` }} />
      </span>
      <span className="num">{percent(i.share)}</span>
    </div>
  );
}

const slots = 120; // seconds

/** A path over two minutes; least is the height, in units of 24, of the smallest value that is not zero. */
function line(values: number[], top: number, least = 0): string {
  let d = "";
  values.forEach((v, n) => {
    const x = slots - values.length + n + 0.5;
    d += `${d ? "L" : "M"}${x} ${(23 - (v > 0 ? Math.max(least, (Math.min(v, top) / top) * 22) : 0)).toFixed(1)}`;
  });
  return d;
}

/** Requests per second over two minutes, errors in front, on the scale that all instances of the service share. */
export const Spark = memo(function Spark({ i, top }: { i: Instance; top: number }) {
  const d = line(i.history, top);
  const start = slots - i.history.length + 0.5;
  const failing = i.errorHistory.some((v) => v > 0);
  return (
    <svg className="spark" viewBox={`0 0 ${slots} 24`} preserveAspectRatio="none" role="img" aria-label={`${rate(i.rate)} requests per second now, up to ${rate(top)} in two minutes`}>
      {d && <path className="area" d={`${d}V23H${start}Z`} />}
      {d && <path className="curve" d={d} vectorEffect="non-scaling-stroke" />}
      {failing && <path className="errors-area" d={`${line(i.errorHistory, top, 3)}V23H${start}Z`} />}
    </svg>
  );
});

/** The cost with the factors that make it. */
export function CostBar({ i }: { i: Instance }) {
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
