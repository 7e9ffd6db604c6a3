import { useQuery } from "@tanstack/react-query";
import { ApiError, get, seg, type TopicDetail } from "../api/client";
import { bytes, count, span } from "../ui/format";
import { Link } from "../ui/link";
import { paths } from "../ui/route";
import { LiveTail } from "./tail";

/** One topic: what it is for, its tail, its partitions and settings. */
export function Detail({ name }: { name: string }) {
  const detail = useQuery({
    queryKey: ["topic", name],
    queryFn: ({ signal }) => get<TopicDetail>(`/topics/${seg(name)}`, signal),
    refetchInterval: 3_000,
  });
  const missing = detail.error instanceof ApiError && detail.error.status === 404 ? detail.error : null;
  if (missing) {
    return (
      <section className="topic empty">
        <h1>{missing.message}</h1>
        <p>
          <Link href={paths.topics}>All topics</Link>
        </p>
      </section>
    );
  }
  const d = detail.data;
  return (
    <section className="topic" aria-label={`Topic ${name}`}>
      <header className="topic-head">
        <Link className="back" href={paths.topics}>
          ← Topics
        </Link>
        <h2>{name}</h2>
        <p className={detail.isError ? "bad-text" : "muted"}>{detail.isError ? detail.error.message : about(d)}</p>
      </header>
      <LiveTail topic={name} />
      <div className="topic-side">
        <Partitions d={d} />
        <Settings d={d} />
      </div>
    </section>
  );
}

function about(d: TopicDetail | undefined): string {
  if (!d) return "\u00a0";
  return [d.description ?? "Not one of smartlb's topics", d.key && `key: ${d.key}`, d.owner && `written by ${d.owner}`].filter(Boolean).join(" · ");
}

function Partitions({ d }: { d: TopicDetail | undefined }) {
  return (
    <section aria-labelledby="partitions-h">
      <h3 id="partitions-h">Partitions</h3>
      <table className="plain">
        <thead>
          <tr>
            <th scope="col" className="num">
              No.
            </th>
            <th scope="col" className="num">
              Leader
            </th>
            <th scope="col" className="num">
              In sync
            </th>
            <th scope="col" className="num">
              Start
            </th>
            <th scope="col" className="num">
              End
            </th>
            <th scope="col" className="num">
              Messages
            </th>
          </tr>
        </thead>
        <tbody>
          {d?.partitions.map((p) => (
            <tr key={p.partition}>
              <th scope="row" className="num">
                {p.partition}
              </th>
              <td className={`num ${p.leader < 0 ? "bad-text" : ""}`}>{p.leader < 0 ? "none" : p.leader}</td>
              <td className={`num ${p.isr.length < p.replicas.length ? "warn-text" : ""}`}>
                {p.isr.length} of {p.replicas.length}
              </td>
              <td className="num">{count(p.start)}</td>
              <td className="num">{count(p.end)}</td>
              <td className="num">{count(p.end - p.start)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** A setting as a person says it, beside the value as Kafka has it. */
export function meaning(name: string, value: string): string {
  const n = Number(value);
  if (!/^-?\d+$/.test(value)) return "";
  if (n === -1) return "unlimited";
  if (name.endsWith(".ms")) return span(n);
  if (name.endsWith(".bytes")) return bytes(n);
  return "";
}

function Settings({ d }: { d: TopicDetail | undefined }) {
  const sorted = [...(d?.configs ?? [])].sort((a, b) => Number(b.set) - Number(a.set) || a.name.localeCompare(b.name));
  return (
    <section aria-labelledby="settings-h">
      <h3 id="settings-h">Settings</h3>
      <table className="plain settings">
        <thead>
          <tr>
            <th scope="col">Name</th>
            <th scope="col" className="num">
              Value
            </th>
          </tr>
        </thead>
        <tbody>
          {sorted.map((c) => (
            <tr key={c.name} className={c.set ? "" : "default"}>
              <th scope="row" title={c.set ? "set on this topic" : "the broker's"}>
                {c.name}
              </th>
              <td className="num" title={c.value}>
                {meaning(c.name, c.value) || c.value}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <p className="muted small">Dimmed ones are the broker's, the others are set on the topic.</p>
    </section>
  );
}
