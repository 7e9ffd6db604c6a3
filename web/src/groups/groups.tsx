import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { type Group, get } from "../api/client";
import { count, dash } from "../ui/format";
import { Link } from "../ui/link";
import { address, type Params, useParam } from "../ui/route";
import { Empty, StaleNote, Waiting } from "../ui/states";
import { type Column, Table } from "../ui/table";
import { GroupView } from "./group";
import { Alarm, State, Towards } from "./marks";

export const groupPath = (group: string) => address("/groups/:group", { group });

/** Every consumer group with its lag, or one of them. */
export function GroupsView({ params }: { params: Params }) {
  return params.group === undefined ? <List /> : <GroupView key={params.group} name={params.group} />;
}

const nameOf = (g: Group) => g.name;

const columns: Column<Group>[] = [
  {
    id: "name",
    title: "Group",
    width: "minmax(6rem, 2fr)",
    by: (g) => g.name,
    cell: (g) => (
      <Link href={groupPath(g.name)} title={g.name}>
        {g.name}
      </Link>
    ),
  },
  { id: "state", title: "State", width: "minmax(6.5rem, 9rem)", by: (g) => g.state, cell: (g) => <State state={g.state} /> },
  { id: "type", title: "Protocol", width: "6rem", above: 1000, by: (g) => g.type, cell: (g) => <span className="muted">{g.type || dash}</span> },
  { id: "members", title: "Members", width: "5.5rem", num: true, above: 700, by: (g) => g.members, cell: (g) => count(g.members) },
  { id: "topics", title: "Topics", width: "minmax(8rem, 1.5fr)", above: 1000, by: (g) => g.topics.length, cell: (g) => <span title={g.topics.join(", ")}>{g.topics.join(", ") || dash}</span> },
  {
    id: "lag",
    title: "Lag",
    width: "minmax(5.5rem, 8rem)",
    num: true,
    by: (g) => g.lag,
    cell: (g) => (
      <>
        <Alarm on={g.alarm} threshold={g.threshold} /> {count(g.lag)}
      </>
    ),
  },
  { id: "trend", title: "Caught up in", width: "11rem", above: 700, by: (g) => g.trend.caughtUpSeconds, cell: (g) => <Towards lag={g.lag} trend={g.trend} members={g.members} /> },
];

function List() {
  const list = useQuery({ queryKey: ["groups"], queryFn: ({ signal }) => get<Group[]>("/groups", signal), refetchInterval: 5_000 });
  const [filter, setFilter] = useParam("q");
  const [alarms, setAlarms] = useParam("alarms");
  const shown = useMemo(() => {
    const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
    return (list.data ?? []).filter((g) => {
      const text = [g.name, g.state, g.type, ...g.topics].join(" ").toLowerCase();
      return words.every((w) => text.includes(w)) && (!alarms || g.alarm);
    });
  }, [list.data, filter, alarms]);
  const above = list.data?.filter((g) => g.alarm).length ?? 0;
  return (
    <main id="main" className="page groups" aria-busy={list.isPending}>
      <div className="toolbar">
        <h1>Consumer groups</h1>
        <span className="muted num">{list.data ? (shown.length === list.data.length ? count(shown.length) : `${count(shown.length)} of ${count(list.data.length)}`) : ""}</span>
        {above > 0 && (
          <button type="button" className="quiet warn-text" aria-pressed={alarms !== ""} onClick={() => setAlarms(alarms ? "" : "1")}>
            {above} above threshold
          </button>
        )}
        <label className="filter">
          <span className="visually-hidden">Filter groups</span>
          <input type="search" placeholder="Filter  /" value={filter} onChange={(e) => setFilter(e.target.value)} />
        </label>
      </div>
      <StaleNote of={list} what="the list of consumer groups" />
      {list.isPending && <Waiting what="the consumer groups" />}
      {list.data?.length === 0 && (
        <Empty title="There is no consumer group">
          <p>
            A group appears when a consumer joins it. A node with the role analyzer joins <code>smartlb-analyzer</code>. This console reads without a group.
          </p>
        </Empty>
      )}
      {list.data && list.data.length > 0 && shown.length === 0 && <Empty title={filter ? `No group matches “${filter}”` : "No group is above its threshold"} />}
      {shown.length > 0 && (
        <div className={list.isError ? "stale" : ""}>
          <Table label="Consumer groups" rows={shown} columns={columns} id={nameOf} />
        </div>
      )}
    </main>
  );
}
