import { keepPreviousData, useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { ApiError, type ChangedConfig, get, post, seg, type Setting } from "../api/client";
import { Confirm } from "../ui/confirm";
import { count, settingValue } from "../ui/format";
import { WarnIcon } from "../ui/icons";
import { useParam } from "../ui/route";
import { useForbidden } from "../ui/session";
import { hidden, Sheet } from "../ui/sheet";
import { Empty, Failure, StaleNote, Waiting } from "../ui/states";
import { useLater } from "./later";
import { docText } from "../ui/setting";
import { problemsOf, ValueInput } from "./value";

/** The new values of some settings; null is the default. */
type Edits = Record<string, string | null>;

const bodyOf = (e: Edits) => ({
  set: Object.fromEntries(Object.entries(e).filter((x): x is [string, string] => x[1] !== null)),
  unset: Object.entries(e).filter(([, v]) => v === null).map(([k]) => k),
});

const sources: Record<string, string> = {
  topic: "this topic",
  broker: "the broker, set while it ran",
  cluster: "the cluster, for every broker",
  file: "the broker's file",
  default: "Kafka's default",
};

/** All settings of a topic with their sources, and their editor. */
export function SettingsTab({ name, internal }: { name: string; internal: boolean }) {
  const [filter, setFilter] = useParam("q");
  const [own, setOwn] = useParam("own");
  const [edits, setEdits] = useState<Edits>({});
  const [review, setReview] = useState(false);
  const [saved, setSaved] = useState(0);
  const list = useQuery({
    queryKey: ["topic", name, "settings"],
    queryFn: ({ signal }) => get<Setting[]>(`/topics/${seg(name)}/settings`, signal),
    refetchInterval: 10_000,
  });
  const admin = useForbidden("admin");
  const forbidden = internal ? "It is internal to Kafka" : admin;
  const asked = useLater(edits, 300);
  const any = Object.keys(asked).length > 0;
  const preview = useQuery({
    queryKey: ["topic", name, "settings?", asked],
    queryFn: () => post<ChangedConfig[]>(`/topics/${seg(name)}/settings?dryRun=true`, bodyOf(asked)),
    enabled: any,
    placeholderData: keepPreviousData,
    retry: false,
    gcTime: 0,
  });
  const refused = any && preview.error instanceof ApiError ? preview.error : null;
  const problems = problemsOf(refused?.problem.error ?? "", Object.keys(edits));
  const shown = useMemo(() => {
    const parts = filter.toLowerCase().split(/\s+/).filter(Boolean);
    return (list.data ?? [])
      .filter((s) => parts.every((p) => s.name.includes(p)) && (!own || s.set || s.name in edits))
      .sort((a, b) => Number(b.set) - Number(a.set) || a.name.localeCompare(b.name));
  }, [list.data, filter, own, edits]);
  if (!list.data) return list.isError ? <StaleNote of={list} what="the settings" /> : <Waiting what={`the settings of ${name}`} />;

  const edit = (s: Setting, v: string | null) => {
    setSaved(0);
    setEdits({ ...edits, [s.name]: v });
  };
  const undo = (s: Setting) => setEdits(Object.fromEntries(Object.entries(edits).filter(([k]) => k !== s.name)));
  const n = Object.keys(edits).length;
  return (
    <section aria-labelledby="settings-h" className="settings-tab">
      <h2 id="settings-h" className="visually-hidden">
        Settings
      </h2>
      <div className="switches">
        <label className="filter">
          <span className="visually-hidden">Filter settings</span>
          <input type="search" placeholder="Filter settings  /" value={filter} onChange={(e) => setFilter(e.target.value)} />
        </label>
        <label className="switch">
          <input type="checkbox" checked={own !== ""} onChange={(e) => setOwn(e.target.checked ? "1" : "")} /> Only what this topic sets
        </label>
        <span className="switches-end" role="status">
          {saved > 0 && <span className="ok-text">{saved === 1 ? "One setting" : `${saved} settings`} saved and read back.</span>}
          {n > 0 && (
            <>
              <button type="button" onClick={() => setEdits({})}>
                Discard
              </button>
              <button type="button" className="primary" disabled={refused !== null || asked !== edits || preview.isPlaceholderData || !preview.data} onClick={() => setReview(true)}>
                Review {n === 1 ? "one change" : `${count(n)} changes`}
              </button>
            </>
          )}
        </span>
      </div>
      <StaleNote of={list} what="the settings" />
      {problems.rest && <p className="bad-text">{problems.rest}</p>}
      {shown.length === 0 && <Empty title={own && !filter ? "This topic has no settings of its own: the broker's settings apply" : "No setting matches"} />}
      {shown.length > 0 && (
        <Sheet label="Settings" table="settings" heads={["Setting", "Value", "From", "Default", hidden("Change")]}>
          <tbody>
            {shown.map((s) => (
              <Row
                key={s.name}
                s={s}
                edit={edits[s.name]}
                danger={refused ? undefined : preview.data?.find((c) => any && c.name === s.name)?.danger}
                problem={problems.by.get(s.name)}
                forbidden={s.readOnly ? "Read-only while the broker runs: changing it needs a restart" : s.rule === null && !s.set ? "Setting of the broker: topics do not have it" : forbidden}
                onEdit={(v) => edit(s, v)}
                onUndo={() => undo(s)}
              />
            ))}
          </tbody>
        </Sheet>
      )}
      {review && (
        <Review
          name={name}
          edits={edits}
          onClose={(done) => {
            setReview(false);
            if (!done) return;
            setSaved(n);
            setEdits({});
          }}
        />
      )}
    </section>
  );
}

interface RowProps {
  s: Setting;
  /** Undefined while the setting is not being edited. */
  edit: string | null | undefined;
  danger: string | undefined;
  problem: string | undefined;
  forbidden: string;
  onEdit: (v: string | null) => void;
  onUndo: () => void;
}

function Row({ s, edit, danger, problem, forbidden, onEdit, onUndo }: RowProps) {
  const value = s.sensitive ? "(secret)" : s.human || s.value || "(empty)";
  return (
    <tr className={`${s.set ? "" : "default"} ${edit === undefined ? "" : "edited"}`}>
      <th scope="row" title={docText(s.doc ?? "")}>
        {s.name}
        {edit !== undefined && s.doc && <p className="muted small doc">{docText(s.doc)}</p>}
      </th>
      <td className="value-cell">
        {edit === undefined ? (
          <span title={s.value}>{value}</span>
        ) : edit === null ? (
          <span>
            <s className="muted">{value}</s> → {s.default ? settingValue(s.name, s.default) : "the broker's default"}
          </span>
        ) : (
          <ValueInput label={s.name} rule={s.rule ?? undefined} value={edit} problem={problem} onChange={onEdit} />
        )}
        {edit !== undefined && danger && (
          <span className="warn-text danger-note">
            <WarnIcon /> {danger}
          </span>
        )}
      </td>
      <td className="muted">{sources[s.source] ?? s.source}</td>
      <td className="muted value-cell" title={s.default}>
        {s.default ? settingValue(s.name, s.default) : "unknown"}
      </td>
      <td className="setting-actions">
        {edit === undefined ? (
          <>
            <button type="button" disabled={forbidden !== ""} title={forbidden} aria-label={`Edit ${s.name}`} onClick={() => onEdit(s.value)}>
              Edit
            </button>
            {s.set && (
              <button type="button" disabled={forbidden !== ""} title={forbidden} aria-label={`Reset ${s.name} to its default`} onClick={() => onEdit(null)}>
                Reset
              </button>
            )}
          </>
        ) : (
          <button type="button" aria-label={`Undo the change of ${s.name}`} onClick={onUndo}>
            Undo
          </button>
        )}
      </td>
    </tr>
  );
}

/** The preview of a change: old value, new value, and the data that may be lost. */
function Review({ name, edits, onClose }: { name: string; edits: Edits; onClose: (done: boolean) => void }) {
  const client = useQueryClient();
  const [done, setDone] = useState(false);
  const preview = useQuery({
    queryKey: ["topic", name, "settings!", edits],
    queryFn: () => post<ChangedConfig[]>(`/topics/${seg(name)}/settings?dryRun=true`, bodyOf(edits)),
    retry: false,
    gcTime: 0,
    staleTime: Number.POSITIVE_INFINITY,
  });
  const save = async () => {
    await post<ChangedConfig[]>(`/topics/${seg(name)}/settings`, bodyOf(edits)); // the server reads them back
    setDone(true);
    await client.invalidateQueries({ queryKey: ["topic", name] });
    void client.invalidateQueries({ queryKey: ["topics"] });
    onClose(true);
  };
  const old = client.getQueryData<Setting[]>(["topic", name, "settings"]);
  const loses = preview.data?.some((c) => c.danger) ?? false;
  return (
    <Confirm title={`Settings of ${name}`} verb="Save" {...(loses ? { name } : {})} ready={done || preview.isSuccess} run={save} onClose={() => onClose(done)}>
      {preview.isPending && <Waiting what="the broker's view of it" />}
      {preview.isError && <Failure error={preview.error} />}
      <ul className="diff" aria-label="Changes">
        {preview.data?.map((c) => {
          const s = old?.find((x) => x.name === c.name);
          const after = c.to ? settingValue(c.name, c.to) : s?.default ? `${settingValue(c.name, s.default)} (default)` : "the broker's default";
          return (
            <li key={c.name}>
              <b>{c.name}</b>
              <span className="diff-del">
                − {c.from ? settingValue(c.name, c.from) : `${s?.human || s?.value || ""} (${sources[s?.source ?? ""] ?? "default"})`}
              </span>
              <span className="diff-add">+ {after}</span>
              {c.danger && (
                <span className="warn-text">
                  <WarnIcon /> {c.danger}
                </span>
              )}
            </li>
          );
        })}
      </ul>
    </Confirm>
  );
}
