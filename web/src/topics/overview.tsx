import { count } from "../ui/format";
import { Waiting } from "../ui/states";
import type { TabProps } from "./topic";

/** A topic's partitions. */
export function OverviewTab({ name, topic }: TabProps) {
  if (!topic) return <Waiting what={`the topic ${name}`} />;
  return (
    <section aria-labelledby="partitions-h">
      <h2 id="partitions-h">Partitions</h2>
      <div className="scroll-x" tabIndex={0} role="region" aria-labelledby="partitions-h">
        <table className="plain">
          <thead>
            <tr>
              {["No.", "Leader", "In sync", "Start", "End", "Messages"].map((t) => (
                <th key={t} scope="col" className="num">
                  {t}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {topic.partitions.map((p) => (
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
      </div>
    </section>
  );
}
