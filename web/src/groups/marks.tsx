import type { Trend } from "../api/client";
import { age, count, dash, rate } from "../ui/format";
import { CheckIcon, LostIcon, WarmIcon, WarnIcon } from "../ui/icons";

/** A group's state in Kafka's word, with an icon. */
export function State({ state }: { state: string }) {
  const stable = state === "Stable";
  const moving = /Rebalance|Assigning|Reconciling/.test(state);
  return (
    <span className={stable ? "ok-text" : moving ? "warn-text" : "muted"}>
      {stable ? <CheckIcon /> : moving ? <WarmIcon /> : <LostIcon />} {state || "unknown"}
    </span>
  );
}

export function Alarm({ on, threshold }: { on: boolean; threshold: { lag: number } | null }) {
  if (!on || !threshold) return null;
  return (
    <span className="tag warn" title={`the threshold is ${count(threshold.lag)}`}>
      <WarnIcon />
      <span className="visually-hidden">above its threshold of {count(threshold.lag)}</span>
    </span>
  );
}

/** The trend of the lag, in words. */
export function Towards({ lag, trend, members }: { lag: number | null; trend: Trend; members: number | null }) {
  const per = trend.perSecond;
  if (lag === 0) return <span className="muted">caught up</span>;
  if (per === null || lag === null) return <span className="muted">{dash}</span>;
  if (trend.caughtUpSeconds !== null) return <span>~ {age(trend.caughtUpSeconds * 1000)}</span>;
  if (members === 0) return <span className="muted">no members</span>;
  return per > 0 ? <span className="warn-text">falls behind by {rate(per)}/s</span> : <span className="muted">lag is stable</span>;
}
