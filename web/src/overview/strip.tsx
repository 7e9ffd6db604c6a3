import type { Alert } from "../api/client";
import type { LiveOverview } from "../live/feed";
import { useLive } from "../live/overview";
import { age } from "../ui/format";
import { CheckIcon, InfoIcon, LostIcon, WarnIcon } from "../ui/icons";
import { Time } from "../ui/time";

/**
 * One line of fixed height under the header: a lost connection, a failure of the node, or the alerts. It is always
 * there, so nothing moves when an alert starts.
 */
export function Strip({ overview }: { overview: LiveOverview | undefined }) {
  const { connection, problem } = useLive();
  if (connection === "lost" && !problem) {
    return (
      <p className="strip bad-text" role="alert">
        <LostIcon /> No connection to the node. The page reconnects automatically.
        {overview && (
          <>
            {" "}
            What you see is from <Time at={overview.at} />.
          </>
        )}
      </p>
    );
  }
  if (problem) {
    return (
      <p className="strip warn-text" role="alert">
        <WarnIcon /> {problem}
      </p>
    );
  }
  if (!overview) return <p className="strip muted">Connecting…</p>;
  if (overview.alerts.length === 0) {
    return (
      <p className="strip muted">
        <CheckIcon /> No alerts
      </p>
    );
  }
  return (
    <ul className="strip alerts" aria-label="Alerts" tabIndex={0}>
      {[...overview.alerts].sort(bySeverity).map((a) => (
        <li key={a.alertId} className={`alert ${a.silence ? "silenced" : a.severity} ${a.status}`} title={a.annotations?.description}>
          {a.severity === "info" ? <InfoIcon /> : <WarnIcon />}
          <strong>{a.annotations?.summary ?? a.ruleId}</strong>
          <span className="muted">
            {a.silence ? "silenced" : a.status}, {age(Date.parse(overview.at) - Date.parse(a.startsAt))}
          </span>
        </li>
      ))}
    </ul>
  );
}

const ranks = { critical: 0, warning: 1, info: 2 };

function bySeverity(a: Alert, b: Alert): number {
  return Number(!!a.silence) - Number(!!b.silence) || ranks[a.severity] - ranks[b.severity] || a.startsAt.localeCompare(b.startsAt);
}
