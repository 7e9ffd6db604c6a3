import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { type DeletedGroup, type DeletedOffsets, type Group, type GroupDetail, get, hasCode, put, remove, type Series, seg } from "../api/client";
import { Chart } from "../ui/chart";
import { Confirm } from "../ui/confirm";
import { Fact } from "../ui/fact";
import { count, dash, shortCount } from "../ui/format";
import { Link } from "../ui/link";
import { address, navigate, paths, useParam } from "../ui/route";
import { whole } from "../ui/series";
import { useForbidden } from "../ui/session";
import { num, Sheet } from "../ui/sheet";
import { Empty, Failure, StaleNote, Waiting } from "../ui/states";
import { Alarm, State, Towards } from "./marks";
import { ResetDialog } from "./reset";
import { ThresholdDialog } from "./threshold";

type Asked = null | "reset" | "delete" | "threshold" | { forget: string };

/** One group: its members, its position and lag in each partition, the lag over time, and the actions. */
export function GroupView({ name }: { name: string }) {
  const client = useQueryClient();
  const key = ["group", name];
  const group = useQuery({ queryKey: key, queryFn: ({ signal }) => get<GroupDetail>(`/groups/${seg(name)}`, signal), refetchInterval: 5_000 });
  const [asked, ask] = useState<Asked>(null);
  const again = () => client.invalidateQueries({ queryKey: key });
  const g = group.data;
  const operator = useForbidden("operator");
  const mover = useForbidden(g?.reserved ? "admin" : "operator");
  const admin = useForbidden("admin");
  const gone = hasCode(group.error, "not-found");
  const busy = g && g.members > 0 ? `The group has ${g.members} members, which would keep their positions: stop them first` : "";
  return (
    <main id="main" className="page group" aria-busy={group.isPending}>
      <div className="toolbar">
        <Link href="/groups">Consumer groups</Link>
        <h1 className="ellipsis" title={name}>
          {name}
        </h1>
      </div>
      {gone ? <Failure error={group.error} again={() => void group.refetch()} /> : <StaleNote of={group} what="the group" />}
      {group.isPending && <Waiting what="the group" />}
      {g && (
        <div className={group.isError ? "stale" : ""}>
          <dl className="facts">
            <Fact name="State">
              <State state={g.state} />
            </Fact>
            <Fact name="Protocol">{[g.type, g.assignor].filter(Boolean).join(", ") || dash}</Fact>
            <Fact name="Members">{count(g.members)}</Fact>
            <Fact name="Lag">
              {count(g.lag)} <Alarm on={g.alarm} threshold={g.threshold} />
            </Fact>
            <Fact name="Caught up in">
              <Towards lag={g.lag} trend={g.trend} members={g.members} />
            </Fact>
            <Fact name="Alarm above">{g.threshold ? count(g.threshold.lag) : "none"}</Fact>
            <Fact name="Coordinator">{g.coordinator}</Fact>
          </dl>
          {g.error && <p className="bad-text">{g.error}</p>}
          <div className="actions">
            <button type="button" disabled={Boolean(mover || busy)} title={mover || busy} onClick={() => ask("reset")}>
              Reset offsets …
            </button>
            <button type="button" disabled={Boolean(operator)} title={operator} onClick={() => ask("threshold")}>
              Alarm threshold …
            </button>
            <button type="button" className="danger" disabled={Boolean(admin || busy)} title={admin || busy} onClick={() => ask("delete")}>
              Delete …
            </button>
          </div>
          <section aria-labelledby="history-h">
            <h2 id="history-h">Lag over the last 15 minutes</h2>
            <Lag label={`Lag of ${g.name}`} series={g.history} />
            <p className="muted small">Measured by the console every few seconds. Between two commits of a consumer the lag grows with the incoming records.</p>
          </section>
          <Members g={g} />
          {g.topics.map((t) => (
            <TopicPart key={t.topic} g={g} topic={t.topic} forbidden={mover || busy} onForget={() => ask({ forget: t.topic })} />
          ))}
          {g.topics.length === 0 && (
            <Empty title="The group has no committed offsets">
              <p>Offsets appear after a member has read and committed, or after a reset with topics.</p>
            </Empty>
          )}
        </div>
      )}
      {g && asked === "reset" && <ResetDialog g={g} onClose={() => ask(null)} onDone={again} />}
      {g && asked === "threshold" && (
        <ThresholdDialog
          now={g.threshold?.lag}
          save={async (lag) => {
            await put(`/groups/${seg(name)}/threshold`, { lag });
            await again();
          }}
          onClose={() => ask(null)}
        />
      )}
      {g && asked === "delete" && (
        <Confirm
          title={`Delete the group ${name}`}
          verb="Delete"
          name={name}
          run={async () => {
            await remove<DeletedGroup>(`/groups/${seg(name)}`);
            client.setQueryData<Group[]>(["groups"], (all) => all?.filter((x) => x.name !== name)); // the list would show it until the next poll
            navigate("/groups", { replace: true });
          }}
          onClose={() => ask(null)}
        >
          <p>
            Its committed offsets in {count(g.topics.length)} topics are deleted; its lag is {count(g.lag)}. Consumers that join it later start according to their own auto.offset.reset.
          </p>
        </Confirm>
      )}
      {g && asked !== null && typeof asked === "object" && (
        <Confirm
          title={`Delete the offsets of ${asked.forget}`}
          verb="Delete offsets"
          name={asked.forget}
          run={async () => {
            await remove<DeletedOffsets>(address("/groups/:group/topics/:topic", { group: name, topic: asked.forget }));
            await again();
          }}
          onClose={() => ask(null)}
        >
          <p>
            {name} forgets where it stands in {asked.forget}. A consumer that reads it again begins where its settings say.
          </p>
        </Confirm>
      )}
    </main>
  );
}

function Lag({ label, series, height }: { label: string; series: Series | undefined; height?: number }) {
  const { times, points } = useMemo(() => whole(series), [series]);
  const lines = useMemo(() => [{ name: "lag", colour: "--accent", points }], [points]);
  return <Chart label={label} times={times} lines={lines} format={shortCount} {...(height && { height })} />;
}

function Members({ g }: { g: GroupDetail }) {
  if (g.consumers.length === 0) return null;
  return (
    <section aria-labelledby="members-h">
      <h2 id="members-h">Members</h2>
      <Sheet by="members-h" heads={["Client", "Host", num("Partitions"), "Id"]}>
        <tbody>
          {g.consumers.map((c) => (
            <tr key={c.id}>
              <td>{c.clientId || dash}</td>
              <td>{c.host || dash}</td>
              <td className="num">{c.partitions}</td>
              <td className="muted">{c.id}</td>
            </tr>
          ))}
        </tbody>
      </Sheet>
    </section>
  );
}

function TopicPart({ g, topic, forbidden, onForget }: { g: GroupDetail; topic: string; forbidden: string; onForget: () => void }) {
  const rows = g.partitions.filter((p) => p.topic === topic);
  const total = g.topics.find((t) => t.topic === topic);
  const [open, setOpen] = useParam("partition");
  const id = `topic-${topic}`;
  const past = new Map(g.partHistory.filter((p) => p.topic === topic).map((p) => [p.partition, p.lag]));
  return (
    <section aria-labelledby={id}>
      <div className="toolbar">
        <h2 id={id}>
          <Link href={paths.topic(topic)}>{topic}</Link>
        </h2>
        <span className="muted">lag {count(total?.lag ?? 0)}</span>
        <button type="button" className="quiet" disabled={forbidden !== ""} title={forbidden} onClick={onForget}>
          Delete offsets …
        </button>
      </div>
      <Sheet by={id} heads={[num("Partition"), num("Committed"), num("End"), num("Lag"), "Member"]}>
        <tbody>
          {rows.map((r) => {
            const at = `${topic}/${r.partition}`;
            const h = past.get(r.partition);
            return [
              <tr key={at}>
                <td className="num">
                  <button type="button" className="quiet" aria-expanded={open === at} onClick={() => setOpen(open === at ? "" : at)} title="Lag over time">
                    {r.partition}
                  </button>
                </td>
                <td className="num">{r.currentOffset < 0 ? dash : count(r.currentOffset)}</td>
                <td className="num">{r.logEndOffset < 0 ? dash : count(r.logEndOffset)}</td>
                <td className="num">{r.lag < 0 ? dash : count(r.lag)}</td>
                <td>{r.consumerId ? `${r.clientId} ${r.host}` : <span className="muted">not assigned</span>}</td>
              </tr>,
              open === at && (
                <tr key={`${at}-past`}>
                  <td colSpan={5}>
                    <Lag label={`Lag of partition ${r.partition}`} series={h} height={90} />
                  </td>
                </tr>
              ),
            ];
          })}
        </tbody>
      </Sheet>
    </section>
  );
}
