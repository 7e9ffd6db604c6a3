import { useMemo } from "react";
import type { Past } from "../api/client";
import { Chart } from "../ui/chart";
import { age, duration, percent } from "../ui/format";
import { CheckIcon, CrossIcon } from "../ui/icons";
import { Time } from "../ui/time";
import { CostBars } from "./bars";

/** The last three minutes of an instance: cost, share, health checks, changes of standing. */
export default function PastOf({ past }: { past: Past }) {
  return (
    <>
      <section aria-labelledby="cost-past">
        <h3 id="cost-past">Cost over time</h3>
        <CostBars past={past.seconds} />
        <p className="muted small">Bars are the factors of the cost, logarithmic; below the line at ×1 they lower the cost. Shaded: out of rotation.</p>
      </section>
      <Shares past={past} />
      <Standings past={past} />
      <Probes past={past} />
      {past.reports.length > 0 && <Reports past={past} />}
    </>
  );
}

function Shares({ past }: { past: Past }) {
  const [times, lines] = useMemo(
    () => [
      past.seconds.map((s) => Date.parse(s.at)),
      [
        { name: "share", colour: "--accent", points: past.seconds.map((s) => s.share) },
        { name: "fair share", colour: "--muted", points: past.seconds.map((s) => (s.weight > 0 ? s.fairShare : null)) },
      ],
    ],
    [past],
  );
  return (
    <section aria-labelledby="share-past">
      <h3 id="share-past">Share against fair share</h3>
      <Chart label="Share of the service's requests" times={times} lines={lines} format={percent} height={110} />
    </section>
  );
}

function Standings({ past }: { past: Past }) {
  const ejections = past.standings.filter((s) => s.to === "ejected").length;
  return (
    <section aria-labelledby="standings">
      <h3 id="standings">Changes of state {ejections > 0 && <span className="muted">{ejections === 1 ? "1 ejection" : `${ejections} ejections`}</span>}</h3>
      {past.standings.length === 0 ? (
        <p className="muted">No change since the node started.</p>
      ) : (
        <ul className="events">
          {past.standings.toReversed().map((s, n) => (
            <li key={n}>
              <Time at={s.at} />
              <span>
                {s.from} → <b className={s.to === "in" ? "ok-text" : "bad-text"}>{s.to}</b>
                {s.until && (
                  <>
                    {" "}
                    until <Time at={s.until} />
                  </>
                )}
                {s.reason && <span className="muted"> {s.reason}</span>}
              </span>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function Probes({ past }: { past: Past }) {
  const { probes } = past;
  if (probes.length === 0) {
    return (
      <section aria-labelledby="probes">
        <h3 id="probes">Health checks</h3>
        <p className="muted">No health check yet. To check the instances of a service, set `healthCheck` in its configuration.</p>
      </section>
    );
  }
  const failed = probes.filter((p) => !p.ok).length;
  const slowest = Math.max(...probes.map((p) => p.tookMs));
  return (
    <section aria-labelledby="probes">
      <h3 id="probes">
        Health checks <span className="muted">{failed === 0 ? `the last ${probes.length} passed` : `${failed} of ${probes.length} failed`}</span>
      </h3>
      <div className="probe-checks" role="img" aria-label={`${probes.length} checks, ${failed} failed, the slowest took ${duration(slowest)}`}>
        {probes.map((p, n) => (
          <i key={n} className={p.ok ? "" : "failed"} style={{ height: `${Math.max(8, (p.tookMs / slowest) * 100)}%` }} />
        ))}
      </div>
      <details>
        <summary>All checks</summary>
        <ul className="events">
          {probes.toReversed().map((p, n) => (
            <li key={n}>
              <Time at={p.at} millis />
              <span>
                <span className={p.ok ? "ok-text" : "bad-text"}>
                  {p.ok ? <CheckIcon /> : <CrossIcon />} {p.ok ? "passed" : "failed"}
                </span>
                {p.status ? ` ${p.status}` : ""} in {duration(p.tookMs)}
                {p.event && <span className="muted"> after a broken connection</span>}
                {p.detail && <span className="muted"> {p.detail}</span>}
              </span>
            </li>
          ))}
        </ul>
      </details>
    </section>
  );
}

function Reports({ past }: { past: Past }) {
  return (
    <section aria-labelledby="reports">
      <h3 id="reports">Reports about this instance</h3>
      <ul className="events">
        {past.reports.map((r) => (
          <li key={r.sender}>
            <span className="num">{age(r.ageMs)}</span>
            <span>
              {r.status} <span className="muted">by {r.sender || "itself, or a sender without a name"}{r.holds ? "" : "; it no longer counts"}</span>
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
