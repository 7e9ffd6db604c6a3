import { useQuery } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { get, type Topic } from "../api/client";
import { count, rate } from "../ui/format";
import { Link } from "../ui/link";
import { paths } from "../ui/route";
import { Detail } from "./detail";

/** The topics, and one of them with its messages as they come. */
export function TopicsView({ topic }: { topic: string | undefined }) {
  const list = useQuery({
    queryKey: ["topics"],
    queryFn: ({ signal }) => get<Topic[]>("/topics", signal),
    refetchInterval: 3_000,
  });
  const rates = useRates(list.data, list.dataUpdatedAt);
  const [filter, setFilter] = useState("");
  const shown = (list.data ?? []).filter((t) => t.name.toLowerCase().includes(filter.toLowerCase().trim()));
  return (
    <main id="main" className={`topics ${topic ? "with-topic" : ""}`} aria-busy={list.isPending}>
      <section className="topic-list" aria-labelledby="topics-h">
        <div className="toolbar">
          <h1 id="topics-h">Topics</h1>
          <span className="muted num">{list.data ? list.data.length : ""}</span>
          {list.isError && <span className="bad-text problem">{list.error.message}</span>}
          <label className="filter">
            <span className="visually-hidden">Filter topics</span>
            <input type="search" placeholder={topic ? "Filter topics" : "Filter topics  /"} value={filter} onChange={(e) => setFilter(e.target.value)} />
          </label>
        </div>
        {list.isPending && (
          <div className="skeleton" role="status">
            <span className="visually-hidden">Loading</span>
            {Array.from({ length: 12 }, (_, n) => (
              <div key={n} className="bone row" />
            ))}
          </div>
        )}
        {list.data && shown.length === 0 && (
          <div className="empty">
            <h2>{filter ? `No topic matches “${filter}”` : "There is no topic yet"}</h2>
            {!filter && <p>The catalog's topics are created as soon as Kafka answers.</p>}
          </div>
        )}
        {shown.length > 0 && (
          <table className={`plain list ${list.isError ? "stale" : ""}`}>
            <thead>
              <tr>
                <th scope="col">Topic</th>
                <th scope="col" className="c-kind">
                  Kind
                </th>
                <th scope="col" className="num c-parts">
                  Partitions
                </th>
                <th scope="col" className="num">
                  Messages
                </th>
                <th scope="col" className="num">
                  Per second
                </th>
              </tr>
            </thead>
            <tbody>
              {shown.map((t) => (
                <tr key={t.name} className={t.name === topic ? "selected" : ""}>
                  <th scope="row">
                    <Link className="cover" href={paths.topic(t.name)} aria-current={t.name === topic ? "true" : undefined}>
                      {t.name}
                    </Link>
                  </th>
                  <td className="c-kind muted">{t.kind}</td>
                  <td className="num c-parts">{t.partitions}</td>
                  <td className="num">{count(t.messages)}</td>
                  <td className="num">{perSecond(rates.get(t.name))}</td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </section>
      {topic && <Detail key={topic} name={topic} />}
    </main>
  );
}

function perSecond(v: number | undefined): React.ReactNode {
  if (v === undefined) return <span className="muted">–</span>;
  return v === 0 ? <span className="muted">0</span> : rate(v);
}

interface Sample {
  at: number;
  topics: Map<string, number>;
}

/** Messages per second by topic, from the last two listings. */
function useRates(topics: Topic[] | undefined, at: number): Map<string, number> {
  const last = useRef<Sample | null>(null);
  const rates = useRef(new Map<string, number>());
  if (topics && at !== last.current?.at) {
    const before = last.current;
    if (before && at - before.at > 500) {
      rates.current = new Map(
        topics.flatMap((t) => {
          const was = before.topics.get(t.name);
          return was === undefined ? [] : [[t.name, Math.max(0, t.messages - was) / ((at - before.at) / 1000)] as const];
        }),
      );
    }
    last.current = { at, topics: new Map(topics.map((t) => [t.name, t.messages])) };
  }
  return rates.current;
}
