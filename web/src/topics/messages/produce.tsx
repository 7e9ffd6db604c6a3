import { useQuery } from "@tanstack/react-query";
import { useEffect, useId, useState } from "react";
import { hasCode, post, seg } from "../../api/client";
import { Dialog, Ending } from "../../ui/dialog";
import { Editor } from "../../ui/editor";
import { bytes, count } from "../../ui/format";
import { Failure } from "../../ui/states";
import { Safe } from "./safe";
import type { Header, Message, NewMessage, Produced } from "./types";

const largest = 10_485_760; // bytes of a value
const previewed = 1024 * 1024; // characters; a larger value is checked when it is sent

interface Props {
  topic: string;
  partitions: number;
  /** The message that fills the form at first. */
  like: Message | null;
  onClose: () => void;
  onSent: (p: Produced) => void;
}

interface Draft {
  key: string;
  hasKey: boolean;
  keyBinary: boolean;
  value: string;
  tombstone: boolean;
  binary: boolean;
  headers: Header[];
  partition: string;
}

function draftOf(m: Message | null): Draft {
  return {
    key: m?.keyBase64 ?? m?.key ?? "",
    hasKey: m === null || m.key !== undefined || m.keyBase64 !== undefined,
    keyBinary: m?.keyBase64 !== undefined,
    value: m?.valueBase64 ?? m?.value ?? "",
    tombstone: m !== null && m.value === undefined && m.valueBase64 === undefined,
    binary: m?.valueBase64 !== undefined,
    headers: m?.headers ?? [],
    partition: "",
  };
}

/** The message of a form. With keepEmptyKey an empty key is a key; without it, no key. */
export function messageOf(d: Draft, keepEmptyKey: boolean): NewMessage {
  const m: NewMessage = {};
  if (d.hasKey && (d.key !== "" || keepEmptyKey)) m[d.keyBinary ? "keyBase64" : "key"] = d.key;
  if (!d.tombstone) m[d.binary ? "valueBase64" : "value"] = d.value;
  if (d.headers.length > 0) m.headers = d.headers;
  if (d.partition !== "") m.toPartition = Number(d.partition);
  return m;
}

const sizeOf = (d: Draft) => (d.tombstone ? 0 : d.binary ? Math.floor((d.value.replace(/=+$/, "").length * 3) / 4) : new TextEncoder().encode(d.value).length);

/** Sends one message. The server first checks it against the topic's schema. */
export function Produce({ topic, partitions, like, onClose, onSent }: Props) {
  const [draft, setDraft] = useState(() => draftOf(like));
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const [settled, setSettled] = useState(draft);
  useEffect(() => {
    const t = setTimeout(() => setSettled(draft), 300);
    return () => clearTimeout(t);
  }, [draft]);
  const keepEmpty = like?.key === "";
  const path = `/topics/${seg(topic)}/messages`;
  const preview = useQuery({
    queryKey: ["produce", topic, settled],
    queryFn: () => post<Produced>(`${path}?dryRun=true`, messageOf(settled, keepEmpty)),
    retry: false,
    gcTime: 0,
    enabled: settled.value.length < previewed,
    placeholderData: (before) => before,
  });
  const set = (more: Partial<Draft>) => setDraft((d) => ({ ...d, ...more }));
  const id = useId();
  const size = sizeOf(draft);
  const check = preview.data?.check;
  const wrong = check !== undefined && !check.conforms;
  const refused = hasCode(preview.error, "invalid", "refused") ? preview.error : null;
  const send = () => {
    setBusy(true);
    setError(null);
    post<Produced>(path, { ...messageOf(draft, keepEmpty), anyway: wrong }).then(onSent, (e: unknown) => {
      setError(e);
      setBusy(false);
    });
  };
  return (
    <Dialog title={like ? `Send again to ${topic}` : `Send a message to ${topic}`} onClose={onClose} wide>
      <form
        className="form produce"
        onSubmit={(e) => {
          e.preventDefault();
          send();
        }}
      >
        <div className="columns">
          <p>
            <label htmlFor={`${id}-key`}>Key{draft.keyBinary && " (base64)"}</label>
            <input id={`${id}-key`} type="text" autoComplete="off" spellCheck={false} value={draft.key} onChange={(e) => set({ key: e.target.value, hasKey: true })} />
            <span className="note">Messages of one key stay in order. {keepEmpty ? "The key is empty, which differs from no key." : "If it is left empty, the message has no key."}</span>
          </p>
          <p>
            <label htmlFor={`${id}-p`}>Partition</label>
            <select id={`${id}-p`} value={draft.partition} onChange={(e) => set({ partition: e.target.value })}>
              <option value="">by key</option>
              {Array.from({ length: Math.min(partitions, 1000) }, (_, n) => (
                <option key={n} value={n}>
                  {n}
                </option>
              ))}
            </select>
          </p>
        </div>
        <div>
          <Editor label={`Value${draft.binary ? " (base64)" : ""}`} language={draft.binary ? "text" : "json"} rows={10} readOnly={draft.tombstone} value={draft.tombstone ? "" : draft.value} onChange={(value) => set({ value })} />
          <span className={size > largest ? "bad-text" : "note"}>
            {draft.tombstone ? "no value" : bytes(size)} of at most {count(largest)} bytes
          </span>
        </div>
        <p className="check">
          <label>
            <input type="checkbox" checked={draft.tombstone} onChange={(e) => set({ tombstone: e.target.checked })} /> No value: a tombstone. In a compacted topic it deletes the key
          </label>
          <label>
            <input type="checkbox" checked={draft.binary} onChange={(e) => set({ binary: e.target.checked })} /> The value is bytes, written as base64
          </label>
        </p>
        <HeaderFields list={draft.headers} onChange={(headers) => set({ headers })} />
        <div className="verdict" role="status">
          {check?.conforms && <p className="ok-text">Conforms to what the topic expects</p>}
          {wrong && (
            <div className="warn-text">
              Does not conform to what the topic expects:
              <ul>
                {check.errors.slice(0, 10).map((e) => (
                  <li key={e}>
                    <Safe text={e} />
                  </li>
                ))}
              </ul>
            </div>
          )}
          {refused && <p className="bad-text">{refused.problem.error}</p>}
        </div>
        {error !== null && <Failure error={error} />}
        <Ending onClose={onClose}>
          <button type="submit" className={wrong ? "danger" : "primary"} disabled={busy || size > largest || refused !== null}>
            {busy ? "Sending …" : wrong ? "Send it anyway" : "Send"}
          </button>
        </Ending>
      </form>
    </Dialog>
  );
}

function HeaderFields({ list, onChange }: { list: Header[]; onChange: (list: Header[]) => void }) {
  const put = (n: number, h: Header) => onChange(list.map((x, i) => (i === n ? h : x)));
  return (
    <fieldset className="header-fields">
      <legend>Headers</legend>
      {list.map((h, n) => (
        <p key={n}>
          <input type="text" aria-label={`Name of header ${n + 1}`} value={h.key} onChange={(e) => put(n, { ...h, key: e.target.value })} />
          <input
            type="text"
            aria-label={`Value of header ${n + 1}${h.valueBase64 === undefined ? "" : ", base64"}`}
            placeholder={h.value === undefined && h.valueBase64 === undefined ? "no value" : ""}
            value={h.valueBase64 ?? h.value ?? ""}
            onChange={(e) => put(n, h.valueBase64 === undefined ? { key: h.key, value: e.target.value } : { key: h.key, valueBase64: e.target.value })}
          />
          <button type="button" className="quiet" aria-label={`Remove header ${n + 1}`} onClick={() => onChange(list.filter((_, i) => i !== n))}>
            Remove
          </button>
        </p>
      ))}
      <button type="button" onClick={() => onChange([...list, { key: "", value: "" }])}>
        Add a header
      </button>
    </fieldset>
  );
}
