import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { type BrokerSetting, get } from "../api/client";
import { settingValue } from "../ui/format";
import { docText } from "../ui/setting";
import { useParam } from "../ui/route";
import { Sheet } from "../ui/sheet";
import { Empty, StaleNote, Waiting } from "../ui/states";

const sources: Record<string, string> = { broker: "this broker, set while it ran", cluster: "the cluster, for every broker", file: "its file", default: "Kafka's default" };

/** All settings of a broker, read-only. To change them, use the broker's file or smartlb kafka configs. */
export function BrokerSettings({ id }: { id: number }) {
  const [filter, setFilter] = useParam("q");
  const [all, setAll] = useParam("all");
  const list = useQuery({ queryKey: ["broker", id, "settings"], queryFn: ({ signal }) => get<BrokerSetting[]>(`/brokers/${id}/settings`, signal), refetchInterval: 30_000 });
  const shown = useMemo(() => {
    const parts = filter.toLowerCase().split(/\s+/).filter(Boolean);
    return (list.data ?? []).filter((s) => parts.every((p) => s.name.includes(p)) && (all !== "" || filter !== "" || s.source !== "default"));
  }, [list.data, filter, all]);
  if (!list.data) return list.isError ? <StaleNote of={list} what="the broker's settings" /> : <Waiting what="the broker's settings" />;
  return (
    <section aria-labelledby="broker-settings-h">
      <h3 id="broker-settings-h">Settings of broker {id}</h3>
      <div className="switches">
        <label className="filter">
          <span className="visually-hidden">Filter the broker's settings</span>
          <input type="search" placeholder="Filter settings  /" value={filter} onChange={(e) => setFilter(e.target.value)} />
        </label>
        <label className="switch">
          <input type="checkbox" checked={all !== ""} onChange={(e) => setAll(e.target.checked ? "1" : "")} /> Also the {list.data.filter((s) => s.source === "default").length} that are nowhere set
        </label>
        <span className="muted">
          Changed by <code>smartlb kafka configs set broker:{id} NAME=VALUE</code>
        </span>
      </div>
      {shown.length === 0 ? (
        <Empty title={filter ? "No setting matches" : "No settings: every value is Kafka's default"} />
      ) : (
        <Sheet by="broker-settings-h" heads={["Setting", "Value", "From", "Default", "Changed by"]}>
          <tbody>
            {shown.map((s) => (
              <tr key={s.name}>
                <th scope="row" title={docText(s.doc ?? "")}>
                  {s.name}
                </th>
                <td className="value-cell" title={s.value}>
                  {s.sensitive ? <span className="muted">(secret)</span> : s.human || s.value || <span className="muted">(empty)</span>}
                </td>
                <td className="muted">{sources[s.source] ?? s.source}</td>
                <td className="muted value-cell" title={s.default}>
                  {s.default ? settingValue(s.name, s.default) : "unknown"}
                </td>
                <td className="muted">{s.readOnly ? "a restart" : "a command"}</td>
              </tr>
            ))}
          </tbody>
        </Sheet>
      )}
    </section>
  );
}
