import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { type Explanation, get, type Instance, type Overview, seg } from "../api/client";
import { age, count, dash, factor, ms, percent } from "../ui/format";
import { CloseIcon } from "../ui/icons";
import { navigate, paths } from "../ui/route";
import { Time } from "../ui/time";
import { Actions } from "./actions";
import { costOf } from "./cost";
import { State } from "./marks";

interface Props {
  service: string;
  id: string;
  overview: Overview | undefined;
}

/** Why one instance gets its share, and what can be done about it. */
export function Panel({ service, id, overview }: Props) {
  const heading = useRef<HTMLHeadingElement>(null);
  const explain = useQuery({
    queryKey: ["explain", service, id],
    queryFn: ({ signal }) => get<Explanation>(`/instances/${seg(id)}/explain?service=${seg(service)}`, signal),
    refetchInterval: 2_000,
  });
  useEffect(() => {
    heading.current?.focus({ preventScroll: true });
    return () => document.querySelector<HTMLElement>(`tr[data-instance="${CSS.escape(id)}"] a`)?.focus({ preventScroll: true });
  }, [id]);
  const live = overview?.services.find((s) => s.id === service)?.instances.find((i) => i.id === id);
  const i = live ?? explain.data?.detail;
  const explained = explain.data?.detail; // of the same moment as the sentences
  return (
    <aside className="panel" aria-label={`Instance ${id}`}>
      <header>
        <div>
          <h2 ref={heading} tabIndex={-1}>
            {id}
          </h2>
          <p className="muted">
            {service}
            {i && ` · ${i.address}`}
          </p>
        </div>
        <button type="button" className="quiet" onClick={() => navigate(paths.overview)} aria-label="Close" title="Close (Esc)">
          <CloseIcon />
        </button>
      </header>
      {i && (
        <div className="panel-state">
          <State i={i} />
          <Actions i={i} service={service} demo={overview?.node.demo ?? false} kafka={overview?.node.kafka.enabled ?? false} />
        </div>
      )}
      <section aria-labelledby="why">
        <h3 id="why">Why it gets {explained ? percent(explained.share) : "its share"}</h3>
        {explain.isError && <p className="bad-text">{explain.error.message}</p>}
        {explain.isPending && <div className="bone tall" />}
        {explain.data && (
          <ul className="lines">
            {explain.data.lines.map((line, n) => (
              <li key={n}>{line}</li>
            ))}
          </ul>
        )}
      </section>
      {explained && <CostTable i={explained} />}
      {i && <FactsList i={i} />}
    </aside>
  );
}

function CostTable({ i }: { i: Instance }) {
  return (
    <section aria-labelledby="parts">
      <h3 id="parts">Cost {factor(i.cost.total)}</h3>
      <table className="plain parts">
        <thead className="visually-hidden">
          <tr>
            <th scope="col">Part</th>
            <th scope="col">Factor</th>
            <th scope="col">Because</th>
          </tr>
        </thead>
        <tbody>
          {costOf(i).map((p) => (
            <tr key={p.kind} className={Math.abs(p.factor - 1) < 0.02 ? "neutral" : ""}>
              <th scope="row">
                <span className={`swatch c-${p.kind}`} aria-hidden="true" /> {p.name}
              </th>
              <td className="num">×{factor(p.factor)}</td>
              <td className="muted">{p.because}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function FactsList({ i }: { i: Instance }) {
  const f = i.facts;
  const p = i.probe;
  const rows: [string, React.ReactNode][] = [
    ["requests", `${count(i.requests)}, ${count(i.errors)} errors`],
    ["latency", `p50 ${ms(i.p50Ms)} · p95 ${ms(i.p95Ms)} · p99 ${ms(i.p99Ms)} ms`],
    ["weight", `${i.weight} · fair share ${percent(i.fairShare)}`],
  ];
  if (i.until) rows.push(["rejoins", <Time key="t" at={i.until} />]);
  const kafka: [string, React.ReactNode][] = f
    ? [
        ["score", `${f.score.toFixed(2)} ${f.state}${f.reasons.length ? ` (${f.reasons.join(", ")})` : ""}`],
        ["facts", `${age(f.ageMs)} old, trust ${(f.trust * 100).toFixed(0)} %`],
        ["capacity", f.capacity === null ? "unknown" : `${f.capacity.toFixed(0)} requests/s`],
        ["error rate", f.errorRate === null ? "unknown" : percent(f.errorRate)],
        ["utilization", f.utilization === null ? "unknown" : percent(f.utilization)],
        ["p95", f.p95Ms === null ? "unknown" : `${ms(f.p95Ms)} ms`],
        ["ignored", Object.entries(f.ignored).map(([why, n]) => `${n} ${why}`).join(", ") || "none in the last minute"],
      ]
    : [["facts", "nothing is known through Kafka"]];
  const probe: [string, React.ReactNode][] = p
    ? [
        ["state", p.state || "not decided yet"],
        ["last check", <Time key="t" at={p.at} />],
        ["result", `${p.ok ? "passed" : "failed"}${p.status ? `, status ${p.status}` : ""} in ${ms(p.tookMs)} ms`],
        ["body", p.body ? p.body : dash],
      ]
    : [["probe", "none"]];
  return (
    <>
      <Facts id="own" title="Seen by this proxy" rows={rows} />
      <Facts id="kafka" title="Heard through Kafka" rows={kafka} />
      <Facts id="probe" title="Health check" rows={probe} />
      {i.tags && <Facts id="tags" title="Tags" rows={Object.entries(i.tags)} />}
    </>
  );
}

function Facts({ id, title, rows }: { id: string; title: string; rows: [string, React.ReactNode][] }) {
  return (
    <section aria-labelledby={id}>
      <h3 id={id}>{title}</h3>
      <dl className="pairs">
        {rows.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

