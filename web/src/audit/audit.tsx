import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { type AuditRecord, type AuditResult, get } from "../api/client";
import { compare, Diff } from "../ui/diff";
import { count, dash, local, utc, zone } from "../ui/format";
import { CheckIcon, WarnIcon } from "../ui/icons";
import { Dialog, Ending } from "../ui/dialog";
import { useKafka } from "../ui/kafka";
import { setParams, useParam, useParams } from "../ui/route";
import { num, Sheet } from "../ui/sheet";
import { Empty, StaleNote, Waiting } from "../ui/states";
import { type Column, Table } from "../ui/table";
import { Time } from "../ui/time";

const texts = ["actor", "action", "target"] as const;
const filters = [...texts, "result", "node"] as const;
const results = ["success", "denied", "error"];
const spans: [string, number][] = [
  ["", 0],
  ["1 h", 3_600_000],
  ["24 h", 86_400_000],
  ["7 d", 604_800_000],
];

/** The audit log: which user did what, and whether the log is unchanged. */
export function AuditView() {
  const values = useParams(filters);
  const [since] = useParam("since");
  const [open] = useParam("record");
  const query = useMemo(() => {
    const q = new URLSearchParams(Object.entries(values).filter(([, v]) => v));
    const span = spans.find(([name]) => name === since)?.[1];
    return { q: q.toString(), span };
  }, [values, since]);
  const list = useQuery({
    queryKey: ["audit", query],
    queryFn: ({ signal }) => {
      const from = query.span ? `&since=${utc(Date.now() - query.span)}` : "";
      return get<AuditRecord[]>(`/audit?last=2000${query.q && `&${query.q}`}${from}`, signal);
    },
    refetchInterval: 5_000,
    placeholderData: (old) => old,
  });
  const kafka = useKafka(); // the list comes from the console's memory
  const records = list.data ?? [];
  const narrowed = query.q !== "" || !!query.span;
  const opened = records.find((r) => String(r.offset) === open);
  return (
    <main id="main" className={`page audit ${(list.isError || kafka.down) && list.data ? "stale" : ""}`} aria-busy={list.isPending}>
      <div className="toolbar">
        <h1>Audit</h1>
        <span className="muted num">{list.data ? count(records.length) : ""}</span>
        <ChainState />
      </div>
      <div className="choices" role="group" aria-label="Only records with">
        {texts.map((name) => (
          <label key={name}>
            <span>{name}</span>
            <input type={name === "actor" ? "search" : "text"} value={values[name]} spellCheck={false} onChange={(e) => setParams({ [name]: e.target.value })} />
          </label>
        ))}
        <label>
          <span>result</span>
          <select value={values.result} onChange={(e) => setParams({ result: e.target.value })}>
            <option value="">any</option>
            {results.map((r) => (
              <option key={r}>{r}</option>
            ))}
          </select>
        </label>
        <label>
          <span>last</span>
          <select value={since} onChange={(e) => setParams({ since: e.target.value })}>
            {spans.map(([name]) => (
              <option key={name} value={name}>
                {name || "all"}
              </option>
            ))}
          </select>
        </label>
      </div>
      {list.isError ? <StaleNote of={list} what="the console" /> : kafka.down && <StaleNote of={kafka.of} what="Kafka" />}
      {list.isPending && <Waiting what="audit-logs" />}
      {list.data &&
        (records.length > 0 ? (
          <Table label="Audit records" rows={records} columns={columns} id={idOf} selected={open} />
        ) : (
          <Empty title={narrowed ? "No record matches" : "There are no audit records yet"}>
            <p>
              {narrowed ? (
                <button type="button" onClick={() => setParams({ actor: undefined, action: undefined, target: undefined, result: undefined, since: undefined, node: undefined })}>
                  Show all
                </button>
              ) : (
                <>
                  Starts, stops, drains, configuration changes, faults of the demo and every change in this console are recorded here. Try <code>smartlb drain user-service-3</code>
                </>
              )}
            </p>
          </Empty>
        ))}
      {opened && <Detail r={opened} />}
    </main>
  );
}

const idOf = (r: AuditRecord) => String(r.offset);

const columns: Column<AuditRecord>[] = [
  {
    id: "time",
    title: "Time",
    width: "minmax(5rem, 11rem)",
    cell: (r) => <Time at={r.timestamp} />,
  },
  { id: "actor", title: "Actor", width: "minmax(4rem, 1fr)", by: (r) => r.actor.id ?? r.actor.type, cell: (r) => <span title={r.actor.type}>{r.actor.id || r.actor.type}</span> },
  {
    id: "action",
    title: "Action",
    width: "minmax(5.5rem, 1.5fr)",
    by: (r) => r.action,
    cell: (r) => (
      <button type="button" className="quiet record" onClick={() => setParams({ record: String(r.offset) })}>
        {r.action}
      </button>
    ),
  },
  { id: "target", title: "Target", width: "minmax(8rem, 2fr)", above: 600, by: (r) => r.target?.id ?? "", cell: (r) => <span title={r.target?.kind}>{r.target?.id || r.target?.kind || dash}</span> },
  { id: "result", title: "Result", width: "minmax(4rem, 6rem)", by: (r) => r.result, cell: (r) => <span className={r.result === "success" ? "ok-text" : "bad-text"}>{r.result}</span> },
  { id: "reason", title: "Reason", width: "minmax(6rem, 2fr)", above: 900, cell: (r) => <span className="muted">{r.reason || dash}</span> },
  { id: "node", title: "Node", width: "9rem", above: 1100, by: (r) => r.node, cell: (r) => <span className="muted">{r.node}</span> },
];

const pretty = (v: unknown) => (v === undefined || v === null ? "" : JSON.stringify(v, null, 2));

function Detail({ r }: { r: AuditRecord }) {
  const lines = useMemo(() => compare(pretty(r.before), pretty(r.after)), [r]);
  const rows: [string, string][] = [
    ["time", `${local(r.timestamp, true)} ${zone(r.timestamp)}`],
    ["actor", `${r.actor.type} ${r.actor.id ?? ""}`],
    ["target", `${r.target?.kind ?? dash} ${r.target?.id ?? ""}`],
    ["result", `${r.result}${r.reason ? `: ${r.reason}` : ""}`],
    ["node", `${r.node}, record ${r.seq}`],
    ["revision", r.configRevision || dash],
    ["previous hash", r.prev || "none: a chain begins here, or an old version without chains wrote the record"],
  ];
  return (
    <Dialog title={r.action} onClose={() => setParams({ record: undefined })}>
      <dl className="pairs">
        {rows.map(([name, v]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{v}</dd>
          </div>
        ))}
      </dl>
      {(r.before !== undefined || r.after !== undefined) && (
        <>
          <h3>Before and after</h3>
          <Diff lines={lines} label="Before and after" />
        </>
      )}
      <Ending onClose={() => setParams({ record: undefined })} word="Close" />
    </Dialog>
  );
}

/** The result of the verification of the chains. */
function ChainState() {
  const [shown, show] = useState(false);
  const v = useQuery({ queryKey: ["audit-verify"], queryFn: ({ signal }) => get<AuditResult>("/audit/verify", signal), staleTime: 30_000, refetchInterval: ({ state }) => (state.status === "error" ? 5_000 : 60_000) });
  if (v.isError) return <span className="muted chain">the chain could not be verified: {v.error.message}</span>;
  if (!v.data) return <span className="muted chain">verifying the chain …</span>;
  const r = v.data;
  const records = r.chains.reduce((n, c) => n + c.records, 0);
  return (
    <>
      <button type="button" className="quiet chain" onClick={() => show(true)} title="What was verified">
        <span className={r.state === "intact" ? "ok-text" : "bad-text"}>
          {r.state === "intact" ? <CheckIcon /> : <WarnIcon />} chain {r.state}
        </span>
        <span>
          {r.authenticity !== "proven" && `· authors ${r.authenticity === "partial" ? "partly proven" : "unproven"} `}· {count(records)} records
        </span>
      </button>
      {shown && (
        <Dialog title="Chains of audit records" onClose={() => show(false)}>
          <p>
            Each record carries the SHA-256 of the previous record of its node. If a record was removed or changed, the next record shows it. Authenticity {r.authenticity}: {r.note}. <code>smartlb audit verify</code> says the same.
          </p>
          <Sheet label="Chains" heads={["Node", "State", num("Records"), num("Begins"), num("Without chain"), "Numbers"]}>
            <tbody>
              {r.chains.map((c) => (
                <tr key={c.node}>
                  <th scope="row">{c.node}</th>
                  <td className={c.state === "intact" ? "ok-text" : "bad-text"}>{c.state}</td>
                  <td className="num">{count(c.records)}</td>
                  <td className="num">{c.begins}</td>
                  <td className="num">{c.unchained}</td>
                  <td className="num">
                    {c.firstSeq}–{c.lastSeq}
                  </td>
                </tr>
              ))}
            </tbody>
          </Sheet>
          {r.chains.flatMap((c) =>
            c.breaks.map((b) => (
              <p key={`${c.node}${b.fromSeq}`} className="bad-text">
                {c.node}: {b.text} ({b.state}, from {b.fromSeq} to {b.toSeq})
              </p>
            )),
          )}
          {r.unreadable > 0 && <p className="warn-text">{r.unreadable} messages of audit-logs are no audit records.</p>}
          <Ending onClose={() => show(false)} word="Close" />
        </Dialog>
      )}
    </>
  );
}
