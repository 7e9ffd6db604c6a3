import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { get, type Series, seg, type TopicDetail, type TopicHistory } from "../api/client";
import { Chart } from "../ui/chart";
import { Fact } from "../ui/fact";
import { bytes, count, dash, rate } from "../ui/format";
import { WarnIcon } from "../ui/icons";
import { Link } from "../ui/link";
import { paths } from "../ui/route";
import { num, Sheet } from "../ui/sheet";
import { Waiting } from "../ui/states";
import { Manage } from "./manage";
import { whole } from "../ui/series";
import { stepText } from "../ui/setting";

/** A topic's overview: its purpose, its traffic, its partitions, and the actions on it. */
export function OverviewTab({ name, topic }: { name: string; topic: TopicDetail | undefined }) {
  if (!topic) return <Waiting what={`the topic ${name}`} />;
  return (
    <>
      {topic.drift.length > 0 && <Drift topic={topic} />}
      <Facts topic={topic} />
      <Charts name={name} />
      <Partitions topic={topic} />
      <Manage topic={topic} />
    </>
  );
}

function Drift({ topic }: { topic: TopicDetail }) {
  return (
    <section className="notice warn" aria-label="Differs from the catalog">
      <p>
        <WarnIcon /> It differs from the catalog. <Link href={paths.plan}>The plan</Link> would change:
      </p>
      <ul>
        {topic.drift.map((s) => (
          <li key={`${s.kind} ${s.config}`}>{stepText(s)}</li>
        ))}
      </ul>
    </section>
  );
}

function Facts({ topic }: { topic: TopicDetail }) {
  const held = topic.partitions.reduce((n, p) => n + Math.max(0, p.end - p.start), 0);
  const well = topic.partitions.every((p) => p.leader >= 0 && p.isr.length >= p.replicas.length);
  return (
    <dl className="facts">
      {topic.owner && <Fact num name="Written by">{topic.owner}</Fact>}
      {topic.key && <Fact num name="Key">{topic.key}</Fact>}
      {topic.schema && (
        <Fact num name="Schema">
          <Link href={paths.topic(topic.name, "schema")}>{topic.schema}</Link>
        </Fact>
      )}
      <Fact num name="Messages">{count(held)}</Fact>
      <Fact num name="Size">{bytes(topic.bytes)}</Fact>
      <Fact num name="Per second">{rate(topic.rate)}</Fact>
      <Fact num name="Replicas">{topic.replicas}</Fact>
      <Fact num name="State">
        {well ? <span className="ok-text">every partition has its leader and replicas</span> : <span className="bad-text">see the partitions</span>}
      </Fact>
    </dl>
  );
}

function Charts({ name }: { name: string }) {
  const history = useQuery({
    queryKey: ["topic", name, "history"],
    queryFn: ({ signal }) => get<TopicHistory>(`/topics/${seg(name)}/history`, signal),
    refetchInterval: 5_000,
  });
  return (
    <div className={`charts ${history.isError ? "stale" : ""}`}>
      <Flow title="Messages in per second" name="messages/s" series={history.data?.messages} format={rate} />
      <Flow title="Bytes in per second" name="bytes/s" series={history.data?.bytes} format={bytes} note="Growth of the log on disk, every 15 s; a gap where records were deleted." />
    </div>
  );
}

function Flow({ title, name, series, format, note }: { title: string; name: string; series: Series | undefined; format: (v: number) => string; note?: string }) {
  const { times, points } = useMemo(() => whole(series), [series]);
  const lines = useMemo(() => [{ name, colour: "--accent", points }], [name, points]);
  return (
    <section>
      <h2>{title}</h2>
      <Chart label={title} times={times} lines={lines} format={format} />
      <p className="muted small">{note ?? "Kept by the console, one point every 5 s."}</p>
    </section>
  );
}

function Partitions({ topic }: { topic: TopicDetail }) {
  return (
    <section aria-labelledby="partitions-h">
      <h2 id="partitions-h">Partitions</h2>
      <Sheet by="partitions-h" heads={["No.", "Leader", "Replicas", "In sync", "Start", "End", "Messages", "Size"].map(num)}>
        <tbody>
          {topic.partitions.map((p, n) => (
            <tr key={p.partition}>
              <th scope="row" className="num">
                {p.partition}
              </th>
              <td className={`num ${p.leader < 0 ? "bad-text" : ""}`}>{p.leader < 0 ? "none" : p.leader}</td>
              <td className="num">{p.replicas.join(", ")}</td>
              <td className={`num ${p.isr.length < p.replicas.length ? "warn-text" : ""}`}>{p.isr.join(", ") || "none"}</td>
              <td className="num">{p.start < 0 ? dash : count(p.start)}</td>
              <td className="num">{p.end < 0 ? dash : count(p.end)}</td>
              <td className="num">{p.end < 0 ? dash : count(p.end - p.start)}</td>
              <td className="num">{bytes(topic.sizes[n])}</td>
            </tr>
          ))}
        </tbody>
      </Sheet>
    </section>
  );
}
