import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Suspense, useEffect, useRef } from "react";
import { type Explanation, get, type Instance, type Past, seg } from "../api/client";
import { type LiveInstance, type LiveOverview, shareOf } from "../live/feed";
import { age, clock, count, dash, duration, factor, latencyMs, percent, rate, score as scoreText, wholePercent } from "../ui/format";
import { CloseIcon } from "../ui/icons";
import { Link } from "../ui/link";
import { address, navigate, paths } from "../ui/route";
import { Heads, num } from "../ui/sheet";
import { Time } from "../ui/time";
import { Actions } from "./actions";
import { costOf } from "./cost";
import { State } from "./marks";
import { later } from "../ui/later";

const PastOf = later(() => import("./past"));

interface Props {
  service: string;
  id: string;
  overview: LiveOverview | undefined;
}

/** The reasons for an instance's share, and the actions on it. */
export function Panel({ service, id, overview }: Props) {
  const heading = useRef<HTMLHeadingElement>(null);
  const explain = useQuery({
    queryKey: ["explain", service, id],
    queryFn: ({ signal }) => get<Explanation>(`/instances/${seg(id)}/explain?service=${seg(service)}`, signal),
    refetchInterval: 2_000,
  });
  const past = useQuery({
    queryKey: ["past", service, id],
    queryFn: ({ signal }) => get<Past>(`/instances/${seg(id)}/past?service=${seg(service)}`, signal),
    refetchInterval: 2_000,
    placeholderData: keepPreviousData,
  });
  useEffect(() => {
    heading.current?.focus({ preventScroll: true });
    return () => document.querySelector<HTMLElement>(`[data-instance="${CSS.escape(id)}"] a`)?.focus({ preventScroll: true });
  }, [id]);
  const of = overview?.services.find((s) => s.id === service);
  const live = of?.instances.find((i) => i.id === id);
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
        <button type="button" className="quiet" onClick={() => navigate(paths.overview + location.search)} aria-label="Close" title="Close (Esc)">
          <CloseIcon />
        </button>
      </header>
      {i && (
        <div className="panel-state">
          <p className="standing">
            <State i={i} />
            {i.until && (
              <span>
                would rejoin at <Time at={i.until} />
              </span>
            )}
            {of && live && (
              <span className="muted">
                {percent(shareOf(of, live))} of the requests; the fair share is {percent(live.fairShare)}
              </span>
            )}
          </p>
          <Actions i={i} service={service} demo={overview?.node.demo ?? false} kafka={overview?.node.kafka.enabled ?? false} />
        </div>
      )}
      <section aria-labelledby="why">
        <h3 id="why">
          Why it gets its share {explain.data && <span className="muted">as of {clock(explain.dataUpdatedAt)}</span>}
        </h3>
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
      <p>
        <Link href={address("/decisions", {}, { service, instance: id })}>Decisions about {id}</Link>
      </p>
      {i && <CostTable i={i} />}
      {past.data ? (
        <Suspense fallback={<div className="bone tall" />}>
          <PastOf past={past.data} />
        </Suspense>
      ) : past.isError ? (
        <p className="bad-text">{past.error.message}</p>
      ) : (
        <div className="bone tall" />
      )}
      {explained && <FactsList i={explained} live={live} />}
    </aside>
  );
}

function CostTable({ i }: { i: Pick<Instance, "cost" | "weight"> }) {
  return (
    <section aria-labelledby="parts">
      <h3 id="parts">Cost {factor(i.cost.total)}</h3>
      <table className="plain cost-parts">
        <Heads className="visually-hidden" of={["Part", "Factor", "Because"]} />
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

function FactsList({ i, live }: { i: Instance; live: LiveInstance | undefined }) {
  const now = live ?? i; // the same values as the row in the list
  const p = i.probe;
  const rows: [string, React.ReactNode][] = [
    ["requests", `${count(i.requests)}, ${count(i.errors)} errors`],
    ["latency", `p50 ${latencyMs(now.p50Ms)} · p95 ${latencyMs(now.p95Ms)} · p99 ${latencyMs(now.p99Ms)}`],
    ["weight", `${now.weight} · fair share ${percent(now.fairShare)}`],
  ];
  const probe: [string, React.ReactNode][] = p
    ? [
        ["state", p.state || "not decided yet"],
        ["last check", <Time key="t" at={p.at} />],
        ["result", `${p.ok ? "passed" : "failed"}${p.status ? `, status ${p.status}` : ""} in ${duration(p.tookMs)}`],
        ["body", p.body ? p.body : dash],
      ]
    : [["probe", "none"]];
  return (
    <>
      <Facts id="own" title="Seen by this proxy" rows={rows} />
      <KafkaFacts i={i} score={now.facts?.score ?? 0} />
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

/** Each fact from Kafka with its age and trust. */
function KafkaFacts({ i, score }: { i: Instance; score: number }) {
  const f = i.facts;
  if (!f) return <Facts id="kafka" title="Facts from Kafka" rows={[["facts", "no data: the proxy uses only its own measurements"]]} />;
  const unknown = <span className="muted">unknown</span>;
  const rows: [string, React.ReactNode][] = [
    ["score", `${scoreText(score)} ${f.state}${f.reasons.length ? ` (${f.reasons.join(", ")})` : ""}`],
    ["capacity", f.capacity === null ? unknown : `${rate(f.capacity)} requests/s`],
    ["error rate", f.errorRate === null ? unknown : percent(f.errorRate)],
    ["utilization", f.utilization === null ? unknown : percent(f.utilization)],
    ["p95", f.p95Ms === null ? unknown : latencyMs(f.p95Ms)],
  ];
  const ignored = Object.entries(f.ignored)
    .map(([why, n]) => `${n} ${why}`)
    .join(", ");
  return (
    <section aria-labelledby="kafka">
      <h3 id="kafka">Facts from Kafka</h3>
      <table className="plain kafka-facts">
        <Heads of={["Fact", "Value", num("Age"), num("Trust")]} />
        <tbody>
          {rows.map(([name, value]) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td>{value}</td>
              <td className={`num ${f.ageMs > 15_000 ? "warn-text" : ""}`}>{age(f.ageMs)}</td>
              <td className="num">{wholePercent(f.trust)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p className="muted small">Messages about this instance that were ignored in the last minute: {ignored || "none"}.</p>
    </section>
  );
}
