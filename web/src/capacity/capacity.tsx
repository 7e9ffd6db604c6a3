import { useQuery } from "@tanstack/react-query";
import type { Capacity } from "../api/client";
import { bounded, capacities, capacityOf, confidence, limitedBy, losses, toneOf } from "../ui/capacity";
import { dash, wholePercent } from "../ui/format";
import { Link } from "../ui/link";
import { type Params, paths } from "../ui/route";
import { Empty, StaleNote, Waiting } from "../ui/states";
import { type Column, Table } from "../ui/table";

/** One line for each service, or one service with its zones and instances. */
export function CapacityView({ params }: { params: Params }) {
  const name = params.service;
  const all = useQuery<Capacity[]>(name === undefined ? capacities : capacityOf(name));
  const shown = all.data ?? [];
  return (
    <main id="main" className="page capacity" aria-busy={all.isPending}>
      <div className="toolbar">
        <h1>{name ?? "Capacity"}</h1>
        {name !== undefined && <Link href={paths.capacity()}>All services</Link>}
      </div>
      <StaleNote of={all} what="what the services can carry" />
      {all.isPending && <Waiting what="what the services can carry" />}
      {all.data && shown.length === 0 && <Empty title="No service is configured">Apply a configuration with services in Configuration, Edit.</Empty>}
      <div className={all.isError ? "stale" : ""}>
        {name === undefined ? (
          <ul className="capacities" aria-label="Services">
            {shown.map((c) => (
              <li key={c.service}>
                <h2>
                  <Link href={paths.capacity(c.service)}>{c.service}</Link>
                </h2>
                <Summary c={c} />
              </li>
            ))}
          </ul>
        ) : (
          shown.map((c) => <One key={c.service} c={c} />)
        )}
      </div>
      <p className="muted">
        The same in a terminal: <code>smartlb capacity{name === undefined ? "" : ` ${name}`}</code>
      </p>
    </main>
  );
}

function Summary({ c }: { c: Capacity }) {
  return (
    <div>
      <p className={`capacity-text ${toneOf(c)}`}>{c.text}</p>
      <p className="muted">
        {confidence(c.confidence)}
        {c.reason && c.headroom !== null && `: ${c.reason}`}
      </p>
    </div>
  );
}

function One({ c }: { c: Capacity }) {
  return (
    <>
      <Summary c={c} />
      <dl className="capacity-facts">
        <Fact name="Load" value={`${bounded(c.load, false)} requests/s`} />
        <Fact name="Capacity" value={`${bounded(c.capacity, c.atLeast)} requests/s`} />
        <Fact name={`At ${wholePercent(c.target)}`} value={`${bounded(c.usable, c.atLeast)} requests/s`} />
        <Fact name="May lose" value={losses(c)} />
        <Fact name="Needs" value={c.recommended === null ? "unknown" : `${c.recommended} ${c.recommended === 1 ? "instance" : "instances"}`} />
        {c.zones.map((z) => (
          <Fact key={z.zone} name={`Survives the loss of zone ${z.zone}`} value={z.survives} tone={z.survives === "no" ? "warn-text" : ""} />
        ))}
        {c.regions.map((r) => (
          <Fact key={r.region} name={`Survives the loss of region ${r.region}`} value={r.survives} tone={r.survives === "no" ? "warn-text" : ""} />
        ))}
      </dl>
      <Table label="Instances" rows={c.instances} columns={columns(c.service)} id={idOf} />
    </>
  );
}

function Fact({ name, value, tone = "" }: { name: string; value: string; tone?: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd className={tone}>{value}</dd>
    </div>
  );
}

type Row = Capacity["instances"][number];

const idOf = (i: Row) => i.id;

const columns = (service: string): Column<Row>[] => [
  { id: "id", title: "Instance", width: "minmax(6rem, 1fr)", by: (i) => i.id, cell: (i) => <Link href={paths.instance(service, i.id)}>{i.id}</Link> },
  { id: "zone", title: "Zone", width: "6rem", above: 900, by: (i) => i.zone, cell: (i) => i.zone ?? dash },
  { id: "state", title: "State", width: "6rem", above: 900, by: (i) => i.state, cell: (i) => i.state },
  { id: "load", title: "Load", width: "5rem", num: true, by: (i) => i.load, cell: (i) => bounded(i.load, false) },
  { id: "rate", title: "Capacity", width: "5.5rem", num: true, by: (i) => i.rate, cell: (i) => bounded(i.rate, i.bound === "seen") },
  { id: "bound", title: "Limited by", width: "6.5rem", above: 700, by: (i) => i.bound, cell: (i) => limitedBy(i.bound) },
  { id: "confidence", title: "Confidence", width: "6rem", above: 500, by: (i) => ["none", "low", "medium", "high"].indexOf(i.confidence), cell: (i) => i.confidence },
  { id: "reason", title: "Note", width: "minmax(8rem, 3fr)", above: 700, cell: (i) => <span title={i.reason}>{i.reason}</span> },
];
