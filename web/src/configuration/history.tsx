import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { type DiffLine, type Entry, get, post, seg } from "../api/client";
import { Confirm } from "../ui/confirm";
import { dash } from "../ui/format";
import { setParams, useParam } from "../ui/route";
import { useForbidden } from "../ui/session";
import { Empty, Failure, StaleNote, Waiting } from "../ui/states";
import { type Column, Table } from "../ui/table";
import { Time } from "../ui/time";
import { configKey } from "./query";
import { changedLines, Diff } from "../ui/diff";

type Comparison = { from: string; to: string; lines: DiffLine[] };

const looks: Record<Entry["result"], string> = {
  current: "ok-text",
  superseded: "muted",
  override: "muted",
  silence: "muted",
  lost: "warn-text",
  unreadable: "warn-text",
  unauthenticated: "warn-text",
  "bad signature": "warn-text",
  replayed: "warn-text",
};

const idOf = (e: Entry) => String(e.offset);

/** All revisions and overrides, the comparison of two revisions, and the rollback. */
export function History({ current }: { current: string }) {
  const list = useQuery({ queryKey: ["config-history"], queryFn: ({ signal }) => get<Entry[]>("/config/history?documents=false", signal), refetchInterval: 5_000 });
  const [from] = useParam("from");
  const [to] = useParam("to", current);
  const [back, setBack] = useState("");
  const forbidden = useForbidden("admin");
  const rows = useMemo(() => (list.data ?? []).toReversed(), [list.data]);
  const columns = useMemo<Column<Entry>[]>(
    () => [
      {
        id: "time",
        title: "Time",
        width: "minmax(5rem, 11rem)",
        cell: (e) => <Time at={e.timestamp} />,
      },
      { id: "revision", title: "Revision", width: "minmax(4.5rem, 8rem)", cell: (e) => (e.revision ? <span className="mono">{e.revision}</span> : <span className="muted">{e.kind || dash}</span>) },
      { id: "result", title: "Result", width: "minmax(4rem, 9rem)", above: 450, cell: (e) => <span className={looks[e.result]}>{e.winner ? `lost to ${e.winner}` : e.result}</span> },
      { id: "author", title: "Author", width: "minmax(6rem, 1fr)", above: 700, cell: (e) => <span title={e.authenticated ? `signed with key ${e.keyId}` : "no known key signed this record: any client may have written it"}>{e.author || dash}{e.authenticated ? "" : " (unauthenticated)"}</span> },
      { id: "comment", title: "What", width: "minmax(8rem, 3fr)", above: 700, cell: (e) => [e.summary, e.comment].filter(Boolean).join(", ") || dash },
      {
        id: "do",
        title: <span className="visually-hidden">Actions</span>,
        width: "minmax(6rem, 16rem)",
        cell: (e) =>
          e.kind === "revision" && (
            <span className="row-actions">
              <button type="button" className="quiet" aria-pressed={e.revision === from} onClick={() => setParams({ from: e.revision === from ? undefined : e.revision, to: undefined })}>
                Compare
              </button>
              {from && e.revision !== from && (
                <button type="button" className="quiet" aria-pressed={e.revision === to} onClick={() => setParams({ to: e.revision })}>
                  with
                </button>
              )}
              {e.revision !== current && (
                <button type="button" className="quiet" disabled={forbidden !== ""} title={forbidden || undefined} onClick={() => setBack(e.revision ?? "")}>
                  Roll back …
                </button>
              )}
            </span>
          ),
      },
    ],
    [from, to, current, forbidden],
  );
  if (!list.data) return list.isError ? <StaleNote of={list} what="the log of configuration" /> : <Waiting what="the log of configuration" />;
  if (rows.length === 0) return <Empty title="The log is empty">To publish the first revision, open Edit.</Empty>;
  return (
    <>
      {from && <Comparing from={from} to={to} back={from === current || forbidden ? undefined : () => setBack(from)} />}
      <section>
        <Table label="Log of configuration" rows={rows} columns={columns} id={idOf} />
      </section>
      {back && <Rollback revision={back} current={current} onClose={() => setBack("")} />}
    </>
  );
}

function Comparing({ from, to, back }: { from: string; to: string; back: (() => void) | undefined }) {
  const [view, setView] = useParam("view");
  const diff = useQuery({ queryKey: ["config-diff", from, to], queryFn: ({ signal }) => get<Comparison>(`/config/diff?from=${seg(from)}&to=${seg(to)}`, signal) });
  return (
    <section aria-labelledby="compared">
      <div className="row-head">
        <h2 id="compared">
          <span className="mono">{from}</span> → <span className="mono">{to}</span> {diff.data && <span className="muted">{changedLines(diff.data.lines)}</span>}
        </h2>
        <span>
          <button type="button" aria-pressed={view === "split"} onClick={() => setView(view === "split" ? "" : "split")}>
            Side by side
          </button>{" "}
          {back && (
            <button type="button" onClick={back}>
              Go back to {from} …
            </button>
          )}{" "}
          <button type="button" onClick={() => setParams({ from: undefined, to: undefined })}>
            Close
          </button>
        </span>
      </div>
      {diff.isError && <Failure error={diff.error} />}
      {diff.data && <Diff lines={diff.data.lines} split={view === "split"} label={`Difference of ${from} and ${to}`} />}
    </section>
  );
}

/** Publishes an older revision again, after a preview of the changes. */
function Rollback({ revision, current, onClose }: { revision: string; current: string; onClose: () => void }) {
  const client = useQueryClient();
  const [comment, setComment] = useState("");
  const preview = useQuery({
    queryKey: ["rollback", revision, current],
    queryFn: () => post<{ base: string; lines: DiffLine[] }>(`/config/revisions/${seg(revision)}/rollback?dryRun=true`, { base: current }),
    staleTime: 0,
  });
  return (
    <Confirm
      title={`Roll back to ${revision}?`}
      verb="Roll back"
      name={revision}
      onClose={onClose}
      run={async () => {
        await post(`/config/revisions/${seg(revision)}/rollback`, { base: current, comment });
        await client.invalidateQueries({ queryKey: configKey });
        await client.invalidateQueries({ queryKey: ["config-history"] });
      }}
    >
      <p>Its document is published again as a new revision, and every node applies it. Changes:</p>
      {preview.isError && <Failure error={preview.error} />}
      {preview.data ? <Diff lines={preview.data.lines} label="What the rollback changes" /> : !preview.isError && <Waiting what="the preview" />}
      <p>
        <label>
          Comment
          <input type="text" value={comment} maxLength={500} onChange={(e) => setComment(e.target.value)} />
        </label>
      </p>
    </Confirm>
  );
}
