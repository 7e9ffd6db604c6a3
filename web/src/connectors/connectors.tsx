import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { ApiError, type Connector, type Connectors, get } from "../api/client";
import { count, dash } from "../ui/format";
import { WarmIcon } from "../ui/icons";
import { Link } from "../ui/link";
import { type Params, useParam } from "../ui/route";
import { useForbidden } from "../ui/session";
import { Empty, StaleNote, Waiting } from "../ui/states";
import { type Column, Table } from "../ui/table";
import { ConnectorPage } from "./connector";
import { Editor } from "./editor";
import { connectorPath } from "./paths";
import { State, tasksSaid } from "./state";

/** Every connector of Kafka Connect, or one of them. */
export function ConnectorsView({ params }: { params: Params }) {
  return params.connector === undefined ? <List /> : <ConnectorPage key={params.connector} name={params.connector} />;
}

const failed = (c: Connector) => c.tasks.filter((t) => t.state === "FAILED").length + (c.state === "FAILED" ? 1 : 0);

/** Connect reports RUNNING for a connector whose topic is missing, although it moves no records. */
function ConnectorState({ c }: { c: Connector }) {
  const missing = c.missingTopics ?? [];
  if (c.state !== "RUNNING" || missing.length === 0) return <State state={c.state} failed={failed(c) > 0} />;
  return (
    <span className="connect-state warn-text" title={`Missing: ${missing.join(", ")}`}>
      <WarmIcon /> topic missing
    </span>
  );
}

const nameOf = (c: Connector) => c.name;

const columns: Column<Connector>[] = [
  {
    id: "name",
    title: "Connector",
    width: "minmax(6rem, 2fr)",
    by: (c) => c.name,
    cell: (c) => (
      <Link href={connectorPath(c.name)} title={c.name}>
        {c.name}
      </Link>
    ),
  },
  { id: "state", title: "State", width: "9rem", above: 600, by: (c) => c.state, cell: (c) => <ConnectorState c={c} /> },
  {
    id: "tasks",
    title: "Tasks",
    width: "minmax(8rem, 13rem)",
    by: (c) => -failed(c),
    cell: (c) => <span className={failed(c) > 0 ? "bad-text" : ""}>{tasksSaid(c.tasks)}</span>,
  },
  { id: "type", title: "Type", width: "5rem", above: 700, by: (c) => c.type, cell: (c) => c.type || dash },
  { id: "class", title: "Class", width: "minmax(8rem, 1.5fr)", above: 900, by: (c) => c.class, cell: (c) => <span title={c.class}>{c.class.split(".").at(-1) || dash}</span> },
  { id: "worker", title: "Worker", width: "10rem", above: 1100, by: (c) => c.worker, cell: (c) => c.worker || dash },
];

function List() {
  const worker = useQuery({ queryKey: ["connect"], queryFn: ({ signal }) => get<Connectors>("/connect", signal), refetchInterval: 5_000, retry: false });
  const [filter, setFilter] = useParam("q");
  const [creating, setCreating] = useState(false);
  const forbidden = useForbidden("admin");
  const shown = useMemo(() => {
    const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
    return (worker.data?.connectors ?? []).filter((c) => {
      const text = `${c.name} ${c.state} ${c.type} ${c.class} ${c.tasks.map((t) => t.state).join(" ")}`.toLowerCase();
      return words.every((w) => text.includes(w));
    });
  }, [worker.data, filter]);
  const none = worker.isError && worker.data === undefined;
  return (
    <main id="main" className={`page connectors ${worker.isError && !none ? "stale" : ""}`} aria-busy={worker.isPending}>
      <div className="toolbar">
        <h1>Connect</h1>
        <span className="muted num">{worker.data ? (shown.length === worker.data.connectors.length ? count(shown.length) : `${count(shown.length)} of ${count(worker.data.connectors.length)}`) : ""}</span>
        {worker.data && (
          <button type="button" disabled={forbidden !== ""} title={forbidden || undefined} onClick={() => setCreating(true)}>
            Create …
          </button>
        )}
        <label className="filter">
          <span className="visually-hidden">Filter connectors</span>
          <input type="search" placeholder="Filter  /" value={filter} onChange={(e) => setFilter(e.target.value)} />
        </label>
      </div>
      {worker.isPending && <Waiting what="Kafka Connect" />}
      {none && <NoWorker error={worker.error} />}
      {!none && <StaleNote of={worker} what="the worker" />}
      {worker.data && (
        <p className="muted worker">
          Kafka Connect {worker.data.version} at <code>{worker.data.address}</code>
        </p>
      )}
      {worker.data?.connectors.length === 0 ? (
        <Empty title="There is no connector yet">
          <p>
            “Create …” creates a connector of one of the classes of the worker. <code>smartlb kafka connect apply -f FILE</code> creates connectors from a file.
          </p>
        </Empty>
      ) : (
        worker.data && (shown.length === 0 ? <Empty title="No connector matches" /> : <Table label="Connectors" rows={shown} columns={columns} id={nameOf} />)
      )}
      {creating && <Editor onClose={() => setCreating(false)} />}
    </main>
  );
}

/** The next step if there is no Connect, or if it does not answer. */
function NoWorker({ error }: { error: unknown }) {
  return (
    <Empty title="Kafka Connect does not answer">
      <p>{error instanceof ApiError ? error.problem.error : "The console does not answer."}</p>
      <p>
        Kafka Connect moves data between Kafka and other systems, and is optional. <code>smartlb kafka start</code> starts a worker with Kafka if Java 17 is installed; <code>SMARTLB_CONNECT=URL</code> sets the address of another worker. The page refreshes automatically.
      </p>
    </Empty>
  );
}
