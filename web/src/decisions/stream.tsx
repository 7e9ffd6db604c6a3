import { useMemo, useState } from "react";
import type { Decision } from "../api/client";
import { keyOf, useFollowed } from "../live/follow";
import { Choice, StreamState } from "../live/following";
import { useOverview } from "../live/overview";
import { dash, duration, factor, isToday } from "../ui/format";
import { useKeys } from "../ui/keys";
import { Link } from "../ui/link";
import { navigate, paths, setParams, useParams } from "../ui/route";
import { Empty, Failure, Waiting } from "../ui/states";
import { type Column, Table } from "../ui/table";
import { Time } from "../ui/time";
import { failed, outcome } from "./words";

const columnsOf = (dated: boolean): Column<Decision>[] => [
  { id: "time", title: "Time", width: dated ? "minmax(5rem, 12rem)" : "minmax(5rem, 6.5rem)", cell: (d) => <Time at={d.timestamp} millis /> },
  { id: "service", title: "Service", width: "minmax(7rem, 1fr)", above: 800, cell: (d) => d.serviceId },
  {
    id: "request",
    title: "Request",
    width: "minmax(4.5rem, 1.2fr)",
    cell: (d) =>
      d.requestId ? (
        <Link href={paths.decision(d.requestId)} className="mono">
          {d.requestId}
        </Link>
      ) : (
        <span className="muted">{d.kind === "change" ? "change of state" : dash}</span>
      ),
  },
  {
    id: "instance",
    title: "Instance",
    width: "minmax(5rem, 1.2fr)",
    cell: (d) => {
      const id = d.kind === "change" ? d.change?.instanceId : d.instanceId;
      return id && id !== "*" ? <Link href={paths.instance(d.serviceId, id)}>{id}</Link> : <span className="muted">{id === "*" ? "all" : "none available"}</span>;
    },
  },
  { id: "outcome", title: "Outcome", width: "minmax(3.5rem, 1fr)", cell: (d) => <span className={failed(d) ? "bad-text" : ""}>{outcome(d)}</span> },
  { id: "took", title: "Took", width: "5rem", num: true, above: 700, cell: (d) => duration(d.outcome?.headMs) },
  { id: "try", title: "Try", width: "3rem", num: true, above: 900, cell: (d) => d.attempt ?? dash },
  { id: "cost", title: "Cost", width: "4.5rem", num: true, above: 1000, cell: (d) => costOf(d) },
  { id: "of", title: "Compared", width: "5.5rem", num: true, above: 1000, cell: (d) => d.candidates?.length || dash },
  { id: "reason", title: "Reason", width: "7rem", above: 1000, cell: (d) => <span className="muted">{d.reason || d.change?.reason || dash}</span> },
  { id: "why", title: "Recorded as", width: "6rem", above: 1200, cell: (d) => <span className="muted">{d.why || dash}</span> },
];

function costOf(d: Decision): string {
  const c = d.candidates?.find((x) => x.instanceId === d.instanceId);
  return c ? factor(c.cost) : dash;
}

const filters = ["service", "instance", "route", "outcome", "why", "reason"] as const;

/** Decisions as they are made, filtered in the node. */
export function Stream() {
  const values = useParams(filters);
  const query = new URLSearchParams(Object.entries(values).filter(([, v]) => v)).toString();
  const f = useFollowed("decisions", query);
  const [find, setFind] = useState("");
  useKeys({ p: f.toggle });
  const narrowed = query !== "";
  const dated = f.rows.some((d) => !isToday(d.timestamp));
  const columns = useMemo(() => columnsOf(dated), [dated]);
  return (
    <main id="main" className={`page decisions ${f.connection === "lost" || !f.kafka ? "stale" : ""}`} aria-busy={f.pending}>
      <div className="toolbar">
        <h1>Decisions</h1>
        <StreamState of={f} />
        <form
          className="filter"
          role="search"
          onSubmit={(e) => {
            e.preventDefault();
            if (find.trim()) navigate(paths.decision(find.trim()));
          }}
        >
          <label>
            <span className="visually-hidden">Find a request by its id</span>
            <input type="search" placeholder="X-Request-Id  /" value={find} onChange={(e) => setFind(e.target.value)} spellCheck={false} />
          </label>
        </form>
      </div>
      <Filters values={values} rows={f.rows} />
      {f.error ? <Failure error={f.error} /> : null}
      {f.rows.length > 0 ? (
        <Table label="Decisions" rows={f.rows} columns={columns} id={keyOf} />
      ) : f.pending ? (
        <Waiting what="routing-decisions" />
      ) : (
        <Empty title={narrowed ? "No recorded decision matches" : "No decision is recorded yet"}>
          <p>
            smartlb records a sample of all requests (<code>telemetry.decisionSample</code>), and every request that failed, was retried, or was sent during an ejection or a panic.{" "}
            {narrowed ? (
              <button type="button" onClick={() => setParams(Object.fromEntries(filters.map((x) => [x, undefined])))}>
                Show all
              </button>
            ) : (
              <>
                To send requests: <code>smartlb demo load --target http://localhost:8080</code>
              </>
            )}
          </p>
        </Empty>
      )}
    </main>
  );
}

const outcomes = ["ok", "failed", "retried", "2xx", "3xx", "4xx", "5xx", "connect", "timeout", "reset"];
const whys = ["sample", "error", "retry", "ejection", "panic"];

function Filters({ values, rows }: { values: Record<string, string>; rows: Decision[] }) {
  const overview = useOverview();
  const services = overview?.services.map((s) => s.id) ?? [];
  const instances = overview?.services.filter((s) => !values.service || s.id === values.service).flatMap((s) => s.instances.map((i) => i.id)) ?? [];
  const seen = (of: (d: Decision) => string | undefined) => [...new Set(rows.map(of).filter((v): v is string => !!v))].sort();
  return (
    <div className="choices" role="group" aria-label="Only decisions with">
      <Choice name="service" value={values.service ?? ""} of={services} />
      <Choice name="instance" value={values.instance ?? ""} of={instances.slice(0, 500)} />
      <Choice name="route" value={values.route ?? ""} of={seen((d) => d.route)} />
      <Choice name="outcome" value={values.outcome ?? ""} of={outcomes} />
      <Choice name="why" label="recorded as" value={values.why ?? ""} of={whys} />
      <Choice name="reason" value={values.reason ?? ""} of={seen((d) => d.reason)} />
    </div>
  );
}
