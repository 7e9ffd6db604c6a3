import { useId, useState } from "react";
import { type Alert, post, type Silence } from "../api/client";
import { Confirm } from "../ui/confirm";

const hour = 3_600_000;
const durations: [string, number][] = [
  ["15 minutes", hour / 4],
  ["1 hour", hour],
  ["4 hours", 4 * hour],
  ["1 day", 24 * hour],
  ["7 days", 7 * 24 * hour],
];

/** Asks for the duration, the reason and the scope of a silence. */
export function SilenceDialog({ alert, onClose }: { alert: Alert; onClose: () => void }) {
  const [duration, setDuration] = useState(hour);
  const [reason, setReason] = useState("");
  const [scope, setScope] = useState("this");
  const id = useId();
  const service = alert.labels?.service;
  const what = scope === "rule" ? { ruleId: alert.ruleId } : scope === "service" && service ? { labels: { service } } : { ruleId: alert.ruleId, labels: alert.labels ?? {} };
  return (
    <Confirm title={`Silence ${alert.annotations?.summary || alert.ruleId}?`} verb="Silence" onClose={onClose} run={() => post<Silence>("/silences", { ...what, durationMs: duration, reason })}>
      <p>The silence applies to every node. The alert stays visible as silenced and is not counted in the menu.</p>
      <p>
        <label htmlFor={`${id}-what`}>What</label>
        <select id={`${id}-what`} value={scope} onChange={(e) => setScope(e.target.value)}>
          <option value="this">this alert</option>
          <option value="rule">all of the rule {alert.ruleId}</option>
          {service && <option value="service">all about {service}</option>}
        </select>
      </p>
      <p>
        <label htmlFor={`${id}-long`}>For</label>
        <select id={`${id}-long`} value={duration} onChange={(e) => setDuration(Number(e.target.value))}>
          {durations.map(([name, ms]) => (
            <option key={ms} value={ms}>
              {name}
            </option>
          ))}
        </select>
      </p>
      <p>
        <label htmlFor={`${id}-why`}>Reason</label>
        <input id={`${id}-why`} type="text" maxLength={500} value={reason} onChange={(e) => setReason(e.target.value)} placeholder="shown to other operators" />
      </p>
    </Confirm>
  );
}
