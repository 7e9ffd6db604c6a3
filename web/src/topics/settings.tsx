import { bytes, span } from "../ui/format";
import { Waiting } from "../ui/states";
import type { TabProps } from "./topic";

/** A setting as a person says it, beside the value as Kafka has it. */
export function meaning(name: string, value: string): string {
  const n = Number(value);
  if (!/^-?\d+$/.test(value)) return "";
  if (n === -1) return "unlimited";
  if (name.endsWith(".ms")) return span(n);
  if (name.endsWith(".bytes")) return bytes(n);
  return "";
}

/** A topic's settings. */
export function SettingsTab({ name, topic }: TabProps) {
  if (!topic) return <Waiting what={`the topic ${name}`} />;
  const sorted = [...topic.configs].sort((a, b) => Number(b.set) - Number(a.set) || a.name.localeCompare(b.name));
  return (
    <section aria-labelledby="settings-h">
      <h2 id="settings-h">Settings</h2>
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
