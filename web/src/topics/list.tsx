import { useQuery } from "@tanstack/react-query";
import { useDeferredValue, useMemo } from "react";
import { type CatalogTopic, get, type Topic } from "../api/client";
import { bytes, count, dash, rate } from "../ui/format";
import { WarnIcon } from "../ui/icons";
import { Link } from "../ui/link";
import { paths, setParams, useParam } from "../ui/route";
import { useForbidden } from "../ui/session";
import { Empty, StaleNote, Waiting } from "../ui/states";
import { type Column, Table } from "../ui/table";
import { CreateTopic } from "./create";
import { stepText } from "../ui/setting";

const quiet = (text: string | number) => <span className="muted">{text}</span>;

const nameOf = (t: Topic) => t.name;

const columns: Column<Topic>[] = [
  {
    id: "name",
    title: "Topic",
    width: "minmax(8rem, 1fr)",
    by: (t) => t.name,
    cell: (t) => (
      <Link href={paths.topic(t.name)} title={t.description ?? t.name}>
        {t.name}
      </Link>
    ),
  },
  { id: "purpose", title: "Purpose", width: "minmax(0, 1.4fr)", above: 1250, cell: (t) => <span className="muted">{t.description ?? ""}</span> },
  { id: "drift", title: "Catalog", width: "7.5rem", above: 700, num: true, by: (t) => (t.drift.length > 0 ? t.drift.length : null), cell: (t) => <Drift of={t} /> },
  { id: "kind", title: "Kind", width: "5rem", above: 1000, by: (t) => t.kind, cell: (t) => quiet(t.internal ? "internal" : t.kind) },
  { id: "partitions", title: "Partitions", width: "5.5rem", above: 850, num: true, by: (t) => t.partitions, cell: (t) => t.partitions },
  { id: "replicas", title: "Replicas", width: "5rem", above: 1000, num: true, by: (t) => t.replicas, cell: (t) => t.replicas },
  { id: "messages", title: "Messages", width: "6.5rem", num: true, by: (t) => t.messages, cell: (t) => (t.messages === 0 ? quiet(0) : count(t.messages)) },
  { id: "size", title: "Size", width: "5.5rem", above: 480, num: true, by: (t) => t.bytes, cell: (t) => (t.bytes === null ? quiet(dash) : bytes(t.bytes)) },
  { id: "rate", title: "Per second", width: "5.5rem", num: true, by: (t) => t.rate, cell: (t) => (t.rate === null ? quiet(dash) : t.rate === 0 ? quiet(0) : rate(t.rate)) },
  { id: "lag", title: "Lag", width: "5.5rem", above: 850, num: true, by: (t) => t.lag, cell: (t) => (t.lag === null ? quiet(dash) : t.lag === 0 ? quiet(0) : count(t.lag)) },
];

function Drift({ of }: { of: Topic }) {
  if (of.kind === "other") return null;
  if (of.drift.length === 0) return quiet("as it says");
  return (
    <span className="tag warn" title={of.drift.map(stepText).join("\n")}>
      <WarnIcon /> {of.drift.length} {of.drift.length === 1 ? "differs" : "differ"}
    </span>
  );
}

/** All topics, those of smartlb first. */
export function TopicList() {
  const [internal, setInternal] = useParam("internal");
  const [filter, setFilter] = useParam("q");
  const [drifted, setDrifted] = useParam("drift");
  const [create] = useParam("create");
  const forbidden = useForbidden("admin");
  const list = useQuery({
    queryKey: ["topics", internal],
    queryFn: ({ signal }) => get<Topic[]>(`/topics${internal ? "?internal=true" : ""}`, signal),
    refetchInterval: 5_000,
    placeholderData: (before) => before,
    structuralSharing: false,
  });
  const catalog = useQuery({ queryKey: ["catalog"], queryFn: ({ signal }) => get<CatalogTopic[]>("/catalog", signal), staleTime: Number.POSITIVE_INFINITY });
  const missing = useMemo(() => {
    const there = new Set(list.data?.map((t) => t.name));
    return list.data ? (catalog.data ?? []).filter((c) => !there.has(c.name)) : [];
  }, [list.data, catalog.data]);
  const wanted = useDeferredValue(filter);
  const shown = useMemo(() => {
    const parts = wanted.toLowerCase().split(/\s+/).filter(Boolean);
    return (list.data ?? []).filter((t) => {
      const name = t.name.toLowerCase();
      return parts.every((p) => name.includes(p)) && (!drifted || t.drift.length > 0);
    });
  }, [list.data, wanted, drifted]);
  const differ = list.data?.reduce((n, t) => n + Number(t.drift.length > 0), 0) ?? 0;
  return (
    <main id="main" className="page topics" aria-busy={list.isPending}>
      <div className="toolbar">
        <h1>Topics</h1>
        <span className="muted num" role="status">
          {list.data && (shown.length === list.data.length ? count(shown.length) : `${count(shown.length)} of ${count(list.data.length)}`)}
        </span>
        <label className="filter">
          <span className="visually-hidden">Filter topics</span>
          <input type="search" placeholder="Filter topics  /" value={filter} onChange={(e) => setFilter(e.target.value)} />
        </label>
      </div>
      <div className="switches">
        <label className="switch">
          <input type="checkbox" checked={internal !== ""} onChange={(e) => setInternal(e.target.checked ? "1" : "")} /> Kafka's internal ones
        </label>
        <label className="switch">
          <input type="checkbox" checked={drifted !== ""} onChange={(e) => setDrifted(e.target.checked ? "1" : "")} /> Only what differs from the catalog
        </label>
        <span className="switches-end">
          <Link className="button" href={paths.plan}>
            {differ > 0 ? `Plan: ${count(differ)} ${differ === 1 ? "topic differs" : "topics differ"}` : "Plan"}
          </Link>
          <button type="button" className="primary" disabled={forbidden !== ""} title={forbidden} onClick={() => setParams({ create: "1" })}>
            Create topic
          </button>
        </span>
      </div>
      <StaleNote of={list} what="the list of topics" />
      {missing.length > 0 && (
        <p className="notice warn">
          <WarnIcon /> {missing.length === 1 ? "One topic" : `${missing.length} topics`} of the catalog {missing.length === 1 ? "is" : "are"} missing: {missing.map((c) => c.name).join(", ")}. <Link href={paths.plan}>The plan</Link> creates{" "}
          {missing.length === 1 ? "it" : "them"}.
        </p>
      )}
      {list.isPending && <Waiting what="the list of topics" />}
      {list.data && shown.length === 0 && (
        <Empty title={filter || drifted ? "No topic matches" : "There is no topic yet"}>
          {filter || drifted ? (
            <p>
              <button type="button" onClick={() => setParams({ q: undefined, drift: undefined })}>
                Show all {count(list.data.length)}
              </button>
            </p>
          ) : (
            <p>
              The catalog's topics are created as soon as Kafka answers. To create them in a terminal: <code>smartlb kafka apply</code>
            </p>
          )}
        </Empty>
      )}
      {shown.length > 0 && (
        <div className={list.isError ? "stale" : ""}>
          <Table label="Topics" rows={shown} columns={columns} id={nameOf} />
        </div>
      )}
      {create !== "" && <CreateTopic onClose={() => setParams({ create: undefined, like: undefined, catalog: undefined })} />}
    </main>
  );
}
