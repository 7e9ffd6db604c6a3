import { memo, useState } from "react";
import type { Instance, Service } from "../api/client";
import { age, dash, ms, percent, rate } from "../ui/format";
import { WarnIcon } from "../ui/icons";
import { Link } from "../ui/link";
import { navigate, paths } from "../ui/route";
import { CostBar, Share, Spark, State, shareScale } from "./marks";

const columns: [string, string, string][] = [
  ["id", "Instance", ""],
  ["st", "State", ""],
  ["sh", "Share of traffic", "The line on each bar is the fair share: what the weights alone would give"],
  ["sp", "Requests/s", "Over two minutes, errors in red"],
  ["p50", "p50", "Milliseconds; half of the requests of the last 10 s were faster"],
  ["p95", "p95", "Milliseconds"],
  ["p99", "p99", "Milliseconds"],
  ["er", "Errors", "Of the last 10 s"],
  ["fl", "In flight", "Requests of this proxy that wait for it now"],
  ["sc", "Score", "Health score, 0 to 1, through Kafka"],
  ["co", "Cost", "What a request would cost now and why; logarithmic, the line is 1"],
  ["fa", "Facts", "Age of what Kafka says and how far it is trusted"],
];

const first = 50; // instances shown before one asks for all

/** One service with a row for each instance. */
export function ServiceBlock({ s, rows, selected }: { s: Service; rows: Instance[]; selected: string | undefined }) {
  const [all, setAll] = useState(false);
  const scale = shareScale(s.instances);
  const top = s.instances.reduce((most, i) => i.history.reduce((m, v) => Math.max(m, v), most), 1);
  const shown = all || rows.length <= first ? rows : worstFirst(rows).slice(0, first);
  return (
    <section className="service" aria-labelledby={`s-${s.id}`}>
      <header>
        <h2 id={`s-${s.id}`}>{s.id}</h2>
        {s.panic && (
          <span className="tag bad" title="Fewer than half of the instances are well, so all that do not drain are used">
            <WarnIcon /> panic
          </span>
        )}
        <dl className="figures">
          <Figure name="requests/s" value={rate(s.rate)} />
          <Figure name="errors" value={percent(s.errorRate)} tone={tone(s.errorRate)} />
          <Figure name="median" value={s.medianMs > 0 ? `${ms(s.medianMs)} ms` : dash} />
          <Figure name="in flight" value={String(s.active)} />
        </dl>
        <span className="about">
          {s.policy}
          {s.healthCheck ? ` · ${s.healthCheck}` : " · no health check"}
        </span>
      </header>
      <table className="instances" role="table" aria-label={`Instances of ${s.id}`}>
        <thead role="rowgroup">
          <tr role="row">
            {columns.map(([key, name, about]) => (
              <th key={key} role="columnheader" scope="col" className={`col-${key}`} title={about || undefined}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {shown.map((i) => (
            <Row key={i.id} i={i} service={s.id} scale={scale} top={top} selected={selected === i.id} />
          ))}
        </tbody>
      </table>
      {shown.length < rows.length && (
        <button type="button" className="more" onClick={() => setAll(true)}>
          Show all {rows.length} instances ({shown.length} shown, those with trouble first)
        </button>
      )}
    </section>
  );
}

function worstFirst(rows: Instance[]): Instance[] {
  const bad = (i: Instance) => (i.state !== "in" ? 2 : 0) + (i.errorRate > 0.01 ? 1 : 0);
  return [...rows].sort((a, b) => bad(b) - bad(a));
}

function Figure({ name, value, tone = "" }: { name: string; value: string; tone?: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd className={tone}>{value}</dd>
    </div>
  );
}

/** Colour of an error ratio; the number stands beside it. */
export function tone(errors: number): string {
  return errors >= 0.05 ? "bad-text" : errors >= 0.005 ? "warn-text" : "";
}

interface RowProps {
  i: Instance;
  service: string;
  scale: number;
  top: number;
  selected: boolean;
}

const Row = memo(function Row({ i, service, scale, top, selected }: RowProps) {
  const href = paths.instance(service, i.id);
  return (
    <tr role="row" className={`${i.state === "in" ? "" : `out ${i.state}`} ${selected ? "selected" : ""}`} data-instance={i.id} onClick={(e) => e.defaultPrevented || getSelection()?.toString() || navigate(href)}>
      <th role="rowheader" scope="row" className="col-id">
        <Link href={href} className="cover" aria-label={`${i.id}: why it gets its share`}>
          {i.id}
        </Link>
        <span className="address">{i.address}</span>
      </th>
      <td role="cell" className="col-st">
        <State i={i} />
      </td>
      <td role="cell" className="col-sh">
        <Share i={i} scale={scale} />
      </td>
      <td role="cell" className="col-sp">
        <div className="rate">
          <Spark i={i} top={top} />
          <span className="num">{rate(i.rate)}</span>
        </div>
      </td>
      <Cell k="p50" name="p50" value={ms(i.p50Ms)} />
      <Cell k="p95" name="p95" value={ms(i.p95Ms)} />
      <Cell k="p99" name="p99" value={ms(i.p99Ms)} />
      <Cell k="er" name="errors" value={i.rate > 0 || i.errorRate > 0 ? percent(i.errorRate) : dash} tone={tone(i.errorRate)} />
      <Cell k="fl" name="in flight" value={String(i.inFlight)} />
      <Cell k="sc" name="score" value={i.facts ? i.facts.score.toFixed(2) : dash} tone={i.facts && i.facts.score < 0.5 ? "bad-text" : ""} title={i.facts?.reasons.join(", ")} />
      <td role="cell" className="col-co">
        <CostBar i={i} />
      </td>
      <td role="cell" className="col-fa">
        <Facts i={i} />
      </td>
    </tr>
  );
});

function Cell({ k, name, value, tone = "", title }: { k: string; name: string; value: string; tone?: string; title?: string | undefined }) {
  return (
    <td role="cell" className={`num col-${k} ${tone}`} data-name={name} title={title || undefined}>
      {value}
    </td>
  );
}

function Facts({ i }: { i: Instance }) {
  const f = i.facts;
  if (!f) return <span className="muted">none</span>;
  const ignored = Object.values(f.ignored).reduce((a, b) => a + b, 0);
  return (
    <span className="facts" title={`${f.state}${ignored ? `; ${ignored} messages ignored in the last minute` : ""}`}>
      <span className={`num ${f.ageMs > 15_000 ? "warn-text" : ""}`}>{age(f.ageMs)}</span>
      <span className="muted num">{(f.trust * 100).toFixed(0)} %</span>
    </span>
  );
}
