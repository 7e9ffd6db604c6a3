import { useEffect, useState } from "react";
import type { Decision, Problem, Search } from "../api/client";
import { Copy } from "../ui/copy";
import { age, count, dash, duration, factor, percent, wholePercent } from "../ui/format";
import { Link } from "../ui/link";
import { paths, useParam } from "../ui/route";
import { hidden, num, Sheet } from "../ui/sheet";
import { Empty, Failure, Waiting } from "../ui/states";
import { Time } from "../ui/time";
import { failed, outcome, why } from "./words";

const spans = ["15m", "1h", "6h", "24h", "168h"];

const pause = 5_000; // ms before a failed search is repeated

/** Searches one request's decisions; the node reports its progress. Results stay while the search is repeated. */
function useSearch(request: string, span: string): { found: Search | null; error: Error | null; again: () => void } {
  const [last, setLast] = useState<{ request: string; span: string; search: Search } | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let later: ReturnType<typeof setTimeout> | undefined;
    const fails = (e: Error) => {
      s.close();
      setError(e);
      later = setTimeout(() => setTurn((n) => n + 1), pause);
    };
    const s = new EventSource(`/api/v1/decisions/${encodeURIComponent(request)}/events?span=${span}`);
    s.addEventListener("search", (e) => {
      const so = JSON.parse((e as MessageEvent<string>).data) as Search;
      setLast((had) => (!so.done && had?.request === request && had.span === span && had.search.decisions.length > so.decisions.length ? had : { request, span, search: so }));
      setError(null);
      if (so.done) s.close();
    });
    s.addEventListener("problem", (e) => {
      const p = JSON.parse((e as MessageEvent<string>).data) as Problem;
      fails(new Error(p.hint ? `${p.error} (${p.hint})` : p.error));
    });
    s.onerror = () => fails(new Error("The connection to the node was lost before the search ended"));
    return () => {
      clearTimeout(later);
      s.close();
    };
  }, [request, span, turn]);
  const found = last?.request === request && last.span === span ? last.search : null;
  return { found, error, again: () => setTurn((n) => n + 1) };
}

/** All that is recorded of one request: each attempt with the compared instances, their costs, and its outcome. */
export function OneRequest({ request }: { request: string }) {
  const [span, setSpan] = useParam("span", "1h");
  const { found, error, again } = useSearch(request, span);
  const attempts = found?.decisions ?? [];
  return (
    <main id="main" className="page decisions" aria-busy={!found?.done && !error}>
      <div className="toolbar">
        <h1>
          <Link href={paths.decisions}>Decisions</Link> / <span className="mono">{request}</span>
        </h1>
        <Copy text={request}>Copy</Copy>
        <label className="span">
          <span>search the last</span>
          <select value={span} onChange={(e) => setSpan(e.target.value)}>
            {spans.map((s) => (
              <option key={s}>{s}</option>
            ))}
          </select>
        </label>
      </div>
      {error && <Failure error={error} again={again} />}
      {!found && !error && <Waiting what="the end of the log" />}
      {found && !found.done && attempts.length === 0 && !error && (
        <div className="progress-line" role="status">
          <progress value={found.scanned} max={Math.max(1, found.total)} aria-label="Recorded decisions read" />
          <span className="num">
            {count(found.scanned)} of {count(found.total)} recorded decisions
          </span>
        </div>
      )}
      {attempts.map((d) => (
        <Attempt key={`${d.partition}/${d.offset}`} d={d} last={d === attempts.at(-1)} />
      ))}
      {found?.done && attempts.length === 0 && (
        <Empty title="This request was not recorded">
          <p>
            The search read {count(found.scanned)} decisions since <Time at={found.from} />. smartlb records a sample of all requests, and every request that failed, was retried, or was sent during an ejection or a
            panic. A request that is not here was not in the sample and did not fail, or it is older.
          </p>
          <p>
            To see the decision of a new request, send the request with <code>X-Smartlb-Explain: 1</code> from an address in <code>proxy.explainFrom</code>: the response has the decision in <code>X-Smartlb-Decision</code>.
          </p>
        </Empty>
      )}
    </main>
  );
}

function Attempt({ d, last }: { d: Decision; last: boolean }) {
  const bad = failed(d);
  return (
    <section className={`card attempt ${bad ? "failed" : ""}`} aria-label={`Attempt ${d.attempt ?? ""}`}>
      <header>
        <h2>
          Attempt {d.attempt ?? 1} <span className={bad ? "bad-text" : "ok-text"}>{outcome(d)}</span>
        </h2>
        <span className="muted">
          <Time at={d.timestamp} millis /> · route {d.route || dash} · {d.serviceId} · {d.policy || dash} · revision {d.configRevision || dash} · node {d.node}
        </span>
      </header>
      <ul className="lines">
        {why(d).map((w) => (
          <li key={w}>{w}</li>
        ))}
        {last && d.outcome?.totalMs !== undefined && <li>The whole request took {duration(d.outcome.totalMs)}, to the last byte of the response.</li>}
      </ul>
      {(d.candidates?.length ?? 0) > 0 && <Candidates d={d} />}
      {(d.excluded?.length ?? 0) > 0 && (
        <details open={(d.excluded?.length ?? 0) < 12}>
          <summary>{d.excluded?.length} could not be chosen</summary>
          <ul className="events">
            {d.excluded?.map((e) => (
              <li key={e.instanceId}>
                <Link href={paths.instance(d.serviceId, e.instanceId)}>{e.instanceId}</Link>
                <span className="bad-text">
                  {e.reason}
                  {e.until && (
                    <>
                      {" "}
                      until <Time at={e.until} />
                    </>
                  )}
                </span>
              </li>
            ))}
          </ul>
        </details>
      )}
      <p className="muted small">
        <Link href={paths.message("routing-decisions", d.partition, d.offset)}>
          routing-decisions {d.partition}/{d.offset}
        </Link>
      </p>
    </section>
  );
}

function Candidates({ d }: { d: Decision }) {
  const list = [...(d.candidates ?? [])].sort((a, b) => a.cost - b.cost);
  const most = Math.max(...list.map((c) => c.cost), 1);
  return (
    <Sheet label="Compared instances" table="candidates" heads={["Compared", num("Cost"), hidden("Cost as a bar"), ...["In flight", "Latency", "Factor", "Errors", "Overdue", "Slow start", "Capacity", "Weight", "Facts"].map(num)]}>
      <tbody>
        {list.map((c) => (
          <tr key={c.instanceId} className={c.instanceId === d.instanceId ? "selected" : ""}>
            <th scope="row">
              <Link href={paths.instance(d.serviceId, c.instanceId)}>{c.instanceId}</Link>
              {c.instanceId === d.instanceId && <span className="tag ok"> chosen</span>}
              {c.distance !== undefined && <span className="tag"> other {c.distance}</span>}
            </th>
            <td className="num">{factor(c.cost)}</td>
            <td className="bar-cell">
              <span className="track">
                <span className="fill" style={{ width: `${Math.max(1, (c.cost / most) * 100)}%` }} />
              </span>
            </td>
            <td className="num">{c.inFlight}</td>
            <td className="num">{duration(c.latencyMs)}</td>
            <td className="num">×{factor(c.latencyFactor)}</td>
            <td className={`num ${c.errorRate > 0.05 ? "bad-text" : ""}`}>{percent(c.errorRate)}</td>
            <td className="num">×{factor(c.silence)}</td>
            <td className="num">{percent(c.slowStart)}</td>
            <td className="num">{factor(c.capacity)}</td>
            <td className="num">{factor(c.weight)}</td>
            <td className="num">{c.ageMs === undefined ? "none" : `${age(c.ageMs)}, ${wholePercent(c.trust)}`}</td>
          </tr>
        ))}
      </tbody>
    </Sheet>
  );
}
