import { useQuery } from "@tanstack/react-query";
import { get, type Topic } from "../api/client";
import { count, rate } from "../ui/format";
import { Link } from "../ui/link";
import { paths, useParam } from "../ui/route";
import { Empty, StaleNote, Waiting } from "../ui/states";
import { type Column, Table } from "../ui/table";

const columns: Column<Topic>[] = [
  { id: "name", title: "Topic", width: "minmax(12rem, 1fr)", by: (t) => t.name, cell: (t) => <Link href={paths.topic(t.name)}>{t.name}</Link> },
  { id: "kind", title: "Kind", width: "6rem", above: 760, by: (t) => t.kind, cell: (t) => <span className="muted">{t.kind}</span> },
  { id: "partitions", title: "Partitions", width: "6rem", above: 760, num: true, by: (t) => t.partitions, cell: (t) => t.partitions },
  { id: "messages", title: "Messages", width: "8rem", num: true, by: (t) => t.messages, cell: (t) => count(t.messages) },
  { id: "rate", title: "Per second", width: "6rem", num: true, by: (t) => t.rate, cell: (t) => perSecond(t.rate) },
];

/** All topics, those of smartlb first. */
export function TopicList() {
  const list = useQuery({ queryKey: ["topics"], queryFn: ({ signal }) => get<Topic[]>("/topics", signal), refetchInterval: 5_000 });
  const [filter, setFilter] = useParam("q");
  const shown = (list.data ?? []).filter((t) => t.name.toLowerCase().includes(filter.toLowerCase().trim()));
  return (
    <main id="main" className="page topics" aria-busy={list.isPending}>
      <div className="toolbar">
        <h1>Topics</h1>
        <span className="muted num">{list.data ? count(list.data.length) : ""}</span>
        <label className="filter">
          <span className="visually-hidden">Filter topics</span>
          <input type="search" placeholder="Filter topics  /" value={filter} onChange={(e) => setFilter(e.target.value)} />
        </label>
      </div>
      <StaleNote of={list} what="the topics" />
      {list.isPending && <Waiting what="the list of topics" />}
      {list.data && shown.length === 0 && (
        <Empty title={filter ? `No topic matches “${filter}”` : "There is no topic yet"}>
          {!filter && <p>The catalog's topics are created as soon as Kafka answers.</p>}
        </Empty>
      )}
      {shown.length > 0 && (
        <div className={list.isError ? "stale" : ""}>
          <Table label="Topics" rows={shown} columns={columns} id={(t) => t.name} />
        </div>
      )}
    </main>
  );
}

function perSecond(v: number | null): React.ReactNode {
  if (v === null) return <span className="muted">–</span>;
  return v === 0 ? <span className="muted">0</span> : rate(v);
}
