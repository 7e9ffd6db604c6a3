import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { get, type Topic } from "../api/client";
import { count, rate } from "../ui/format";
import { Link } from "../ui/link";
import { type Params, paths } from "../ui/route";
import { Detail } from "./detail";

/** The topics, and one of them with its messages as they come. */
export function TopicsView({ params }: { params: Params }) {
  const topic = params.topic;
  const list = useQuery({
    queryKey: ["topics"],
    queryFn: ({ signal }) => get<Topic[]>("/topics", signal),
    refetchInterval: 3_000,
  });
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
                  <td className="num">{perSecond(t.rate)}</td>
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

function perSecond(v: number | null): React.ReactNode {
  if (v === null) return <span className="muted">–</span>;
  return v === 0 ? <span className="muted">0</span> : rate(v);
}
