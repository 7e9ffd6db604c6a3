import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { post, seg } from "../../api/client";
import { Dialog, Ending } from "../../ui/dialog";
import { bytes, count } from "../../ui/format";
import { Failure, Waiting } from "../../ui/states";
import { callOf, type Query } from "./query";
import type { Redrive as Answer } from "./types";

/** Sends dead letters back to their original topics, after a preview of their numbers. */
export function Redrive({ topic, query, chosen, onClose }: { topic: string; query: Query; chosen: ReadonlySet<string>; onClose: () => void }) {
  const path = `/topics/${seg(topic)}/redrive`;
  const p = callOf({ ...query, from: query.from === "" || query.from === "live" ? "newest" : query.from });
  p.set("limit", "1000");
  const body = chosen.size > 0 ? { pick: [...chosen].join(",") } : { query: p.toString() };
  const preview = useQuery({ queryKey: ["redrive", topic, body], queryFn: () => post<Answer>(`${path}?dryRun=true`, body), retry: false, gcTime: 0, staleTime: Number.POSITIVE_INFINITY });
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const [done, setDone] = useState<Answer | null>(null);
  const d = done ?? preview.data;
  const go = () => {
    setBusy(true);
    setError(null);
    post<Answer>(path, body).then(
      (a) => {
        setDone(a);
        setBusy(false);
      },
      (e: unknown) => {
        setError(e);
        setBusy(false);
      },
    );
  };
  return (
    <Dialog title="Send dead letters back" onClose={onClose}>
      {preview.isPending && <Waiting what="a preview" />}
      {preview.isError && <Failure error={preview.error} again={() => void preview.refetch()} />}
      {d && (
        <div className="form">
          <p>
            {done ? (
              <>
                <b>{count(done.sent)}</b> sent back.
              </>
            ) : (
              <>
                <b>{count(d.ready)}</b> of {count(d.letters)} dead letters can go back, {bytes(d.bytes)} in all.
              </>
            )}
          </p>
          {d.targets.length > 0 && (
            <ul>
              {d.targets.map((t) => (
                <li key={t.topic}>
                  {count(t.messages)} to <code>{t.topic}</code>
                </li>
              ))}
            </ul>
          )}
          {d.left.length > 0 && (
            <div>
              <p className="muted">Not sent:</p>
              <ul className="muted">
                {d.left.map((l) => (
                  <li key={l.reason}>
                    {count(l.messages)}: {l.reason} (such as {l.first})
                  </li>
                ))}
              </ul>
            </div>
          )}
          {!done && d.failing > 0 && (
            <p className="warn-text">{count(d.failing)} of them still do not conform to what their topic expects: they would come back here. Send those again with edits instead.</p>
          )}
          {d.again && <p className="warn-text">The topics hold too many records to check whether some were sent back before.</p>}
          <p className="note">
            Each message is sent once, with its original value, key and headers if its topic still has the original. It gets the header <code>smartlb-redrive</code>.
          </p>
          {error !== null && <Failure error={error} />}
          <Ending onClose={onClose} word={done ? "Close" : "Cancel"}>
            {!done && (
              <button type="button" className="primary" disabled={busy || d.ready === 0} onClick={go}>
                {busy ? "Sending …" : `Send ${count(d.ready)} back`}
              </button>
            )}
          </Ending>
        </div>
      )}
    </Dialog>
  );
}
