import { useEffect, useMemo, useRef, useState } from "react";
import type { LoggedRequest } from "../api/client";
import { keyOf, useFollowed } from "../live/follow";
import { Choice, StreamState } from "../live/following";
import { useOverview } from "../live/overview";
import { dash, duration, isToday } from "../ui/format";
import { useKeys } from "../ui/keys";
import { Link } from "../ui/link";
import { paths, setParams, useParams } from "../ui/route";
import { Empty, Failure, Waiting } from "../ui/states";
import { type Column, Table } from "../ui/table";
import { Time } from "../ui/time";

const topic = "access-logs";

const failed = (r: LoggedRequest) => !!r.failure || r.status === 0 || r.status >= 500;

const columnsOf = (dated: boolean): Column<LoggedRequest>[] => [
  { id: "time", title: "Time", width: dated ? "minmax(5rem, 12rem)" : "minmax(5rem, 6.5rem)", cell: (r) => <Time at={r.timestamp} millis /> },
  { id: "method", title: "Method", width: "minmax(3.5rem, 5rem)", cell: (r) => r.method || dash },
  {
    id: "path",
    title: "Path",
    width: "minmax(6rem, 3fr)",
    cell: (r) => (
      <Link href={paths.message(topic, r.partition, r.offset)} className="mono" title={`${r.host ?? ""}${r.target ?? ""}`}>
        {r.target || "no path"}
      </Link>
    ),
  },
  { id: "status", title: "Status", width: "minmax(3.5rem, 8rem)", cell: (r) => <span className={failed(r) ? "bad-text" : ""}>{[r.status || "no answer", r.failure].filter(Boolean).join(" ")}</span> },
  { id: "client", title: "Client", width: "minmax(6rem, 1fr)", above: 600, cell: (r) => r.client || dash },
  { id: "route", title: "Route", width: "minmax(4rem, 1fr)", above: 800, cell: (r) => r.route || dash },
  {
    id: "instance",
    title: "Instance",
    width: "minmax(6rem, 1.2fr)",
    above: 700,
    cell: (r) => (r.serviceId && r.instanceId ? <Link href={paths.instance(r.serviceId, r.instanceId)}>{r.instanceId}</Link> : <span className="muted">{r.why || dash}</span>),
  },
  { id: "took", title: "Took", width: "5rem", num: true, above: 500, cell: (r) => duration(r.durationMs) },
];

const filters = ["route", "instance", "outcome", "text"] as const;
const outcomes = ["ok", "failed", "retried", "2xx", "3xx", "4xx", "5xx"];

/** The access log of all nodes, as requests end; filtered in the node. */
export function RequestsView() {
  const values = useParams(filters);
  const query = new URLSearchParams(Object.entries(values).filter(([, v]) => v.trim()).map(([k, v]) => [k, v.trim()])).toString();
  const f = useFollowed("requests", query);
  useKeys({ p: f.toggle });
  const narrowed = query !== "";
  const dated = f.rows.some((r) => !isToday(r.timestamp));
  const columns = useMemo(() => columnsOf(dated), [dated]);
  return (
    <main id="main" className={`page requests ${f.connection === "lost" || !f.kafka ? "stale" : ""}`} aria-busy={f.pending}>
      <div className="toolbar">
        <h1>Requests</h1>
        <StreamState of={f} />
        <Text value={values.text} />
      </div>
      <Filters values={values} rows={f.rows} />
      {f.error ? <Failure error={f.error} /> : null}
      {f.rows.length > 0 ? (
        <Table label="Requests" rows={f.rows} columns={columns} id={keyOf} />
      ) : f.pending ? (
        <Waiting what={topic} />
      ) : (
        <Empty title={narrowed ? "No logged request matches" : "No request is logged yet"}>
          {narrowed ? (
            <p>
              <button type="button" onClick={() => setParams(Object.fromEntries(filters.map((x) => [x, undefined])))}>
                Show all
              </button>
            </p>
          ) : (
            <>
              <p>
                Nodes send their access log to the topic <code>{topic}</code> if their configuration has <code>proxy: &#123;accessLogOptions: &#123;kafka: true&#125;&#125;</code>. This is off by default; a change needs a restart of the node.
              </p>
              <p>
                The log holds addresses of clients and queries. <code>console.mask</code> hides them here.
              </p>
            </>
          )}
        </Empty>
      )}
    </main>
  );
}

const pause = 300; // ms without a key before a text filters

/** The filter for texts. The address changes, and the stream begins again, when the typing pauses. */
function Text({ value }: { value: string }) {
  const [typed, setTyped] = useState<string | null>(null); // null: what the address has
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const apply = (text: string) => {
    clearTimeout(timer.current);
    setTyped(null);
    setParams({ text });
  };
  return (
    <form
      className="filter"
      role="search"
      onSubmit={(e) => {
        e.preventDefault();
        apply(typed ?? value);
      }}
    >
      <label>
        <span className="visually-hidden">Path, host, client, user or request id</span>
        <input
          type="search"
          placeholder="Path, client, request id  /"
          value={typed ?? value}
          spellCheck={false}
          onChange={(e) => {
            const text = e.target.value;
            setTyped(text);
            clearTimeout(timer.current);
            timer.current = setTimeout(() => apply(text), pause);
          }}
        />
      </label>
    </form>
  );
}

function Filters({ values, rows }: { values: Record<(typeof filters)[number], string>; rows: LoggedRequest[] }) {
  const overview = useOverview();
  const instances = overview?.services.flatMap((s) => s.instances.map((i) => i.id)) ?? [];
  const seen = (of: (r: LoggedRequest) => string | undefined) => [...new Set(rows.map(of).filter((v): v is string => !!v))].sort();
  return (
    <div className="choices" role="group" aria-label="Only requests with">
      <Choice name="route" value={values.route} of={seen((r) => r.route)} />
      <Choice name="instance" value={values.instance} of={[...new Set([...instances.slice(0, 500), ...seen((r) => r.instanceId)])]} />
      <Choice name="outcome" label="status" value={values.outcome} of={outcomes} />
    </div>
  );
}
