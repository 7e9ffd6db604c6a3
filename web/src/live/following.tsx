import { count } from "../ui/format";
import { setParams } from "../ui/route";
import type { Following } from "./follow";

/** The button that pauses a stream of records, and the state of the stream in words. */
export function StreamState({ of: f }: { of: Following<unknown> }) {
  return (
    <>
      <button type="button" className="pause" aria-pressed={f.paused} onClick={f.toggle} title="p">
        {f.paused ? "Resume" : "Pause"}
      </button>
      <span className="muted stream-state" role="status">
        {f.connection === "lost" ? "connection lost, reconnecting" : f.connection === "resting" ? "paused: other windows are live; click to resume" : !f.kafka ? "Kafka is unavailable; the stream resumes automatically" : f.paused ? `paused, ${count(f.waiting)} waiting` : "live"}
        {f.skipped > 0 && `, ${count(f.skipped)} skipped`}
      </span>
    </>
  );
}

/** A filter with choices; the address contains its value. */
export function Choice({ name, label = name, value, of }: { name: string; label?: string; value: string; of: string[] }) {
  const all = value && !of.includes(value) ? [value, ...of] : of;
  return (
    <label>
      <span>{label}</span>
      <select value={value} onChange={(e) => setParams({ [name]: e.target.value })}>
        <option value="">any</option>
        {all.map((v) => (
          <option key={v}>{v}</option>
        ))}
      </select>
    </label>
  );
}
