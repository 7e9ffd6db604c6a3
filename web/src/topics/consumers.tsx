import { useQuery } from "@tanstack/react-query";
import { Fragment } from "react";
import { get, seg, type TopicGroup } from "../api/client";
import { count, dash } from "../ui/format";
import { Link } from "../ui/link";
import { address, useParam } from "../ui/route";
import { hidden, num, Sheet } from "../ui/sheet";
import { Empty, StaleNote, Waiting } from "../ui/states";

/** The consumer groups of a topic, with their lag. */
export function ConsumersTab({ name }: { name: string }) {
  const [open, setOpen] = useParam("group");
  const groups = useQuery({
    queryKey: ["topic", name, "groups"],
    queryFn: ({ signal }) => get<TopicGroup[]>(`/topics/${seg(name)}/groups`, signal),
    refetchInterval: 5_000,
  });
  if (!groups.data) return groups.isError ? <StaleNote of={groups} what="the consumer groups" /> : <Waiting what="the consumer groups" />;
  return (
    <section aria-labelledby="consumers-h">
      <h2 id="consumers-h" className="visually-hidden">
        Consumer groups
      </h2>
      <StaleNote of={groups} what="the consumer groups" />
      {groups.data.length === 0 ? (
        <Empty title="No consumer group has read this topic">
          <p>
            Readers without a group (the console, <code>smartlb kafka consume</code>) are not listed. A reader with a group: <code>kcat -G my-group {name}</code>
          </p>
        </Empty>
      ) : (
        <Sheet label="Consumer groups" className={groups.isError ? "stale" : ""} heads={["Group", "State", "Protocol", num("Members"), num("Lag here"), hidden("Page")]}>
          <tbody>
            {groups.data.map((g) => (
              <Fragment key={g.name}>
                <tr>
                  <th scope="row">
                    <button type="button" className="quiet" aria-expanded={open === g.name} onClick={() => setOpen(open === g.name ? "" : g.name)}>
                      {open === g.name ? "▾" : "▸"} {g.name}
                    </button>
                  </th>
                  <td>{g.state}</td>
                  <td className="muted">{g.type}</td>
                  <td className="num">{g.members}</td>
                  <td className="num">{count(g.lag)}</td>
                  <td>
                    <Link href={address("/groups/:group", { group: g.name })} aria-label={`Reset or watch ${g.name}`}>
                      Reset or watch
                    </Link>
                  </td>
                </tr>
                {open === g.name &&
                  g.partitions.map((p) => (
                    <tr key={p.partition} className="sub">
                      <th scope="row">partition {p.partition}</th>
                      <td colSpan={2} className="muted">
                        {p.consumerId ? `${p.clientId} ${p.host}` : "not assigned"}
                      </td>
                      <td className="num muted">
                        {p.currentOffset < 0 ? dash : count(p.currentOffset)} of {p.logEndOffset < 0 ? dash : count(p.logEndOffset)}
                      </td>
                      <td className="num">{p.lag < 0 ? dash : count(p.lag)}</td>
                      <td />
                    </tr>
                  ))}
              </Fragment>
            ))}
          </tbody>
        </Sheet>
      )}
    </section>
  );
}
