import { useId, useState } from "react";
import { type GroupDetail, post, type Reset, seg } from "../api/client";
import { Dialog, Ending } from "../ui/dialog";
import { count, dash, local, millisOf } from "../ui/format";
import { num, Sheet } from "../ui/sheet";
import { Failure } from "../ui/states";
import { TimeField } from "../ui/time";
import { type Aim, aimText, type Kind, resetBody } from "./aim";

interface Props {
  g: GroupDetail;
  onClose: () => void;
  onDone: () => Promise<unknown>;
}

const kinds: [Kind, string][] = [
  ["earliest", "Earliest: read everything again"],
  ["latest", "Latest: skip what is there"],
  ["time", "A time"],
  ["shift", "Shift by a number of records"],
  ["offset", "An offset"],
  ["exact", "An offset for each partition"],
];

/** Moves the offsets of a group, after a preview of each partition. */
export function ResetDialog({ g, onClose, onDone }: Props) {
  const [aim, setAim] = useState<Aim>({ kind: "earliest", value: "", topic: "", partitions: [], exact: new Map() });
  const [preview, setPreview] = useState<Reset | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const change = (a: Partial<Aim>) => {
    setAim({ ...aim, ...a });
    setPreview(null); // it was the preview of another aim
    setError(null);
  };
  const mistake = aimText(aim);
  const send = (dry: boolean) => {
    setBusy(true);
    setError(null);
    post<Reset>(`/groups/${seg(g.name)}/reset${dry ? "?dryRun=true" : ""}`, resetBody(aim, g.partitions))
      .then(async (r) => {
        if (dry) {
          setPreview(r);
          return;
        }
        await onDone();
        onClose();
      })
      .catch(setError)
      .finally(() => setBusy(false));
  };
  const ids = { kind: useId(), value: useId(), topic: useId() };
  const parts = g.partitions.filter((p) => aim.topic === "" || p.topic === aim.topic);
  return (
    <Dialog title={`Reset ${g.name}`} onClose={onClose} wide>
      <form
        className="form"
        onSubmit={(e) => {
          e.preventDefault();
          if (!mistake) send(true);
        }}
      >
        <div className="reset-fields">
          <div>
            <label htmlFor={ids.topic}>Where</label>
            <select id={ids.topic} value={aim.topic} onChange={(e) => change({ topic: e.target.value, partitions: [] })}>
              <option value="">All its topics</option>
              {g.topics.map((t) => (
                <option key={t.topic}>{t.topic}</option>
              ))}
            </select>
          </div>
          <div>
            <label htmlFor={ids.kind}>To</label>
            <select id={ids.kind} value={aim.kind} onChange={(e) => change({ kind: e.target.value as Kind, value: "" })}>
              {kinds.map(([k, text]) => (
                <option key={k} value={k}>
                  {text}
                </option>
              ))}
            </select>
          </div>
          {(aim.kind === "time" || aim.kind === "shift" || aim.kind === "offset") && (
            <div>
              <label htmlFor={ids.value}>{aim.kind === "time" ? "Local time, to the millisecond" : aim.kind === "shift" ? "Records, negative to go back" : "Offset"}</label>
              {aim.kind === "time" ? (
                <TimeField id={ids.value} ms={millisOf(aim.value)} onChange={(ms) => change({ value: ms === null ? "" : local(ms, true) })} />
              ) : (
                <input id={ids.value} type="text" inputMode="numeric" value={aim.value} aria-invalid={aim.value !== "" && mistake !== ""} onChange={(e) => change({ value: e.target.value.trim() })} />
              )}
            </div>
          )}
        </div>
        {aim.topic !== "" && aim.kind !== "exact" && parts.length > 1 && (
          <fieldset className="part-choice">
            <legend>Partitions (none chosen: all)</legend>
            {parts.map((p) => (
              <label key={p.partition}>
                <input
                  type="checkbox"
                  checked={aim.partitions.includes(p.partition)}
                  onChange={(e) => change({ partitions: e.target.checked ? [...aim.partitions, p.partition] : aim.partitions.filter((x) => x !== p.partition) })}
                />{" "}
                {p.partition}
              </label>
            ))}
          </fieldset>
        )}
        {aim.kind === "exact" && (
          <Sheet label="Offsets" limited heads={["Topic", num("Partition"), num("End"), "New offset"]}>
            <tbody>
              {parts.map((p) => {
                const at = `${p.topic}/${p.partition}`;
                return (
                  <tr key={at}>
                    <td>{p.topic}</td>
                    <td className="num">{p.partition}</td>
                    <td className="num">{count(p.logEndOffset)}</td>
                    <td>
                      <input
                        type="text"
                        inputMode="numeric"
                        aria-label={`New offset of ${at}`}
                        value={aim.exact.get(at) ?? String(Math.max(p.currentOffset, 0))}
                        onChange={(e) => change({ exact: new Map(aim.exact).set(at, e.target.value.trim()) })}
                      />
                    </td>
                  </tr>
                );
              })}
            </tbody>
          </Sheet>
        )}
        {mistake && aim.value !== "" && <p className="bad-text">{mistake}</p>}
        {error !== null && <Failure error={error} />}
        {preview && <Preview r={preview} />}
        <Ending onClose={onClose}>
          <button type="submit" className={preview ? "" : "primary"} disabled={busy || mistake !== ""}>
            Preview
          </button>
          <button type="button" className="danger" disabled={busy || !preview || preview.partitions.length === 0} title={preview ? undefined : "Preview first"} onClick={() => send(false)}>
            {preview ? `Reset ${count(preview.partitions.length)} partitions` : "Reset"}
          </button>
        </Ending>
      </form>
    </Dialog>
  );
}

function Preview({ r }: { r: Reset }) {
  return (
    <Sheet label="New offset of each partition" limited table="preview" heads={["Topic", num("Partition"), num("From"), num("To"), num("Lag before"), num("Lag after")]}>
      <tbody>
        {r.partitions.map((p) => (
          <tr key={`${p.topic}/${p.partition}`} className={p.from === p.to ? "muted" : ""}>
            <td>{p.topic}</td>
            <td className="num">{p.partition}</td>
            <td className="num">{p.from < 0 ? dash : count(p.from)}</td>
            <td className="num">{count(p.to)}</td>
            <td className="num">{p.lagBefore < 0 ? dash : count(p.lagBefore)}</td>
            <td className="num">{count(p.lagAfter)}</td>
          </tr>
        ))}
      </tbody>
    </Sheet>
  );
}
