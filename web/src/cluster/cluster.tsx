import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { type OtherService, type Broker, type BrokerHistory, type Cluster, get } from "../api/client";
import { whole } from "../ui/series";
import { Chart } from "../ui/chart";
import { bytes, count, duration } from "../ui/format";
import { CheckIcon, CrossIcon, WarnIcon } from "../ui/icons";
import { useKafka } from "../ui/kafka";
import { Link } from "../ui/link";
import { paths, setParams, useParam } from "../ui/route";
import { num, Sheet } from "../ui/sheet";
import { Empty, StaleNote, Waiting } from "../ui/states";
import { BrokerSettings } from "./settings";

/** The brokers, the partitions with problems, and the other services of the cluster. */
export function ClusterView() {
  const [chosen] = useParam("broker");
  const { of: cluster } = useKafka();
  const c = cluster.data;
  const broker = c?.brokers.find((b) => String(b.id) === chosen) ?? (chosen === "" && c?.brokers.length === 1 ? c.brokers[0] : undefined);
  return (
    <main id="main" className="page cluster" aria-busy={cluster.isPending}>
      <div className="toolbar">
        <h1>Brokers and cluster</h1>
      </div>
      <StaleNote of={cluster} what="the cluster" />
      {cluster.isPending && <Waiting what="the cluster" />}
      {c && (
        <div className={cluster.isError ? "stale" : ""}>
          <Facts c={c} />
          <Brokers list={c.brokers} chosen={broker?.id} />
          <Troubled c={c} />
          <Besides c={c} />
          {chosen !== "" && !broker && (
            <Empty title={`There is no broker ${chosen}`}>
              <p>There {c.brokers.length === 1 ? "is" : "are"} {c.brokers.map((b) => b.id).join(", ")}.</p>
            </Empty>
          )}
          {broker && <BrokerDetail key={broker.id} b={broker} />}
        </div>
      )}
    </main>
  );
}

/** The version, as far as it is known. */
function versionOf(b: { version: string; embedded?: boolean }): string {
  if (b.embedded) return `smartlb ${b.version}, embedded`.replace(" ,", ",");
  return b.version ? `Kafka ${b.version.replace(/^v/, "")}, estimated from its API versions` : "unknown";
}

function Facts({ c }: { c: Cluster }) {
  const bad = c.offlinePartitions > 0;
  const poor = c.underReplicatedPartitions > 0;
  return (
    <dl className="facts">
      <div>
        <dt>Cluster</dt>
        <dd>{c.id}</dd>
      </div>
      <div>
        <dt>Runs</dt>
        <dd>{versionOf({ version: c.version, embedded: c.brokers.some((b) => b.embedded) })}</dd>
      </div>
      <div>
        <dt>Controller</dt>
        <dd>{c.controller < 0 ? <span className="bad-text">none</span> : `broker ${c.controller}`}</dd>
      </div>
      <div>
        <dt>Topics</dt>
        <dd>
          <Link href={paths.topics}>{count(c.topics)}</Link>
        </dd>
      </div>
      <div>
        <dt>Partitions</dt>
        <dd>{count(c.partitions)}</dd>
      </div>
      <div>
        <dt>Without a leader</dt>
        <dd className={bad ? "bad-text" : "ok-text"}>
          {bad ? <CrossIcon /> : <CheckIcon />} {count(c.offlinePartitions)}
        </dd>
      </div>
      <div>
        <dt>Under-replicated</dt>
        <dd className={poor ? "warn-text" : "ok-text"}>
          {poor ? <WarnIcon /> : <CheckIcon />} {count(c.underReplicatedPartitions)}
        </dd>
      </div>
    </dl>
  );
}

function Brokers({ list, chosen }: { list: Broker[]; chosen: number | undefined }) {
  return (
    <section aria-labelledby="brokers-h">
      <h2 id="brokers-h">Brokers</h2>
      <Sheet by="brokers-h" table="list" heads={[num("Id"), "Address", "Rack", "Runs", num("Leads"), num("Holds"), num("On disk"), num("Answers in"), num("p50"), num("p99")]}>
        <tbody>
          {list.map((b) => (
            <tr key={b.id} className={b.id === chosen ? "selected" : ""}>
              <th scope="row" className="num">
                <button type="button" className="quiet" aria-pressed={b.id === chosen} onClick={() => setParams({ broker: String(b.id) })}>
                  {b.id}
                </button>
              </th>
              <td>
                {b.address} {b.controller && <span className="tag">controller</span>}
              </td>
              <td className="muted">{b.rack || "none"}</td>
              <td>{versionOf(b)}</td>
              <td className="num">{count(b.leaders)}</td>
              <td className="num">{count(b.replicas)}</td>
              <td className="num">{bytes(b.bytes)}</td>
              <td className="num">{b.latency.lastMs === null ? <span className="warn-text">no answer</span> : duration(b.latency.lastMs)}</td>
              <td className="num">{duration(b.latency.p50Ms)}</td>
              <td className="num">{duration(b.latency.p99Ms)}</td>
            </tr>
          ))}
        </tbody>
      </Sheet>
      <p className="muted small">Response times are measured by the console: one cheap request every 5 s, over the last 15 minutes.</p>
    </section>
  );
}

function BrokerDetail({ b }: { b: Broker }) {
  const history = useQuery({
    queryKey: ["broker", b.id, "history"],
    queryFn: ({ signal }) => get<BrokerHistory>(`/brokers/${b.id}/history`, signal),
    refetchInterval: 5_000,
  });
  const series = history.data?.latency;
  const { times, points } = useMemo(() => whole(series), [series]);
  const lines = useMemo(() => [{ name: "answers in", colour: "--accent", points }], [points]);
  return (
    <section aria-label={`Broker ${b.id}`} className="broker">
      <h2>Broker {b.id}</h2>
      <div className="charts">
        <section>
          <h3>Response time</h3>
          <Chart label={`Response time of broker ${b.id}`} times={times} lines={lines} format={duration} />
        </section>
        <section>
          <h3>Directories</h3>
          {b.dirs.length === 0 && <p className="muted">The broker does not report its directories.</p>}
          <ul className="dirs">
            {b.dirs.map((d) => (
              <li key={d.path}>
                <b>{b.embedded ? "the broker's own" : d.path}</b>
                <span>
                  {bytes(d.bytes)} in {count(d.partitions)} partitions
                  {d.total > 0 && `; ${bytes(d.free)} free of ${bytes(d.total)}`}
                </span>
                {d.total > 0 && <meter min={0} max={d.total} low={d.total * 0.8} high={d.total * 0.95} optimum={0} value={d.total - d.free} aria-label={`${d.path}: used of its disk`} />}
                {d.error && <span className="bad-text">{d.error}</span>}
              </li>
            ))}
          </ul>
        </section>
      </div>
      <BrokerSettings id={b.id} />
    </section>
  );
}

function Troubled({ c }: { c: Cluster }) {
  if (c.troubled.length === 0) return null;
  return (
    <section aria-labelledby="troubled-h">
      <h2 id="troubled-h">Partitions with problems</h2>
      <p className="muted">
        Without a leader nothing can be read or written; with copies missing the loss of another broker may lose records. See which broker is missing and why:{" "}
        <code>smartlb kafka doctor</code>
      </p>
      <Sheet by="troubled-h" heads={["Topic", num("Partition"), "State", "Replicas", "In sync"]}>
        <tbody>
          {c.troubled.map((t) => (
            <tr key={`${t.topic}/${t.partition}`}>
              <th scope="row">
                <Link href={paths.topic(t.topic)}>{t.topic}</Link>
              </th>
              <td className="num">{t.partition}</td>
              <td className={t.leader < 0 ? "bad-text" : "warn-text"}>{t.leader < 0 ? "no leader" : "copies missing"}</td>
              <td>{t.replicas.join(", ")}</td>
              <td>{t.isr.join(", ") || "none"}</td>
            </tr>
          ))}
        </tbody>
      </Sheet>
      {c.troubled.length >= 1000 && <p className="muted">Only the first 1,000 are shown.</p>}
    </section>
  );
}

function Besides({ c }: { c: Cluster }) {
  const embedded = c.brokers.some((b) => b.embedded);
  return (
    <section aria-labelledby="beside-h">
      <h2 id="beside-h">Other services</h2>
      <dl className="beside">
        <One name="ZooKeeper" of={c.zookeeper} none={embedded ? "the embedded broker needs none" : "none is known here; a KRaft cluster needs none"} />
        <One name="Kafka Connect" of={c.connect} none="no worker is known here" />
      </dl>
    </section>
  );
}

function One({ name, of, none }: { name: string; of: OtherService | null; none: string }) {
  return (
    <div>
      <dt>{name}</dt>
      {of === null ? (
        <dd className="muted">{none}</dd>
      ) : (
        <dd>
          {of.problem ? (
            <span className="bad-text">
              <CrossIcon /> {of.address}: {of.problem}
            </span>
          ) : (
            <>
              <span className="ok-text">
                <CheckIcon /> {of.address}
              </span>
              {of.version && ` · version ${of.version}`}
              {of.mode && ` · mode ${of.mode}`}
              {of.latencyMs !== null && ` · answered in ${duration(of.latencyMs)}`}
            </>
          )}
        </dd>
      )}
    </div>
  );
}
