import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { get, seg } from "../../api/client";
import { bytes, count } from "../../ui/format";
import { Region } from "../../ui/sheet";
import { Failure } from "../../ui/states";
import { bytesOf, hexLines, textOf } from "./copy";
import { parse } from "./document";
import { Safe } from "./safe";
import { Tree } from "./tree";
import type { Detail, Message } from "./types";

const part = 64 * 1024; // bytes shown at once
const onePart = 1024 * 1024; // limit of bytes per call
const wholeTree = 4 * 1024 * 1024; // larger documents are not made into a tree

type Form = "tree" | "text" | "hex";

const pathOf = (m: Message) => `/topics/${seg(m.topic)}/partitions/${m.partition}/offsets/${m.offset}`;
export const rawOf = (m: Message, what: "key" | "value") => `/api/v1${pathOf(m)}/raw?part=${what}`;

/** The value of a message: a tree if it is JSON, text, or hex; large values in parts. */
export function ValueView({ m }: { m: Message }) {
  const [form, setForm] = useState<Form | null>(null);
  const [from, setFrom] = useState(0);
  const [whole, setWhole] = useState<Message | null>(null);
  const [loading, setLoading] = useState<unknown>(null);
  const paged = useQuery({
    queryKey: ["part", m.topic, m.partition, m.offset, from],
    queryFn: ({ signal }) => get<Detail>(`${pathOf(m)}?from=${from}&bytes=${part}`, signal),
    enabled: m.valueCut === true && whole === null,
    staleTime: Number.POSITIVE_INFINITY,
    retry: 1,
  });
  const shown = whole ?? (m.valueCut ? (paged.data?.message ?? null) : m);
  const text = shown?.value;
  const complete = shown !== null && (whole !== null || !m.valueCut || (paged.data?.from === 0 && paged.data.bytes === m.valueSize));
  const doc = useMemo(() => (complete && text ? parse(text) : null), [complete, text]);
  if (m.value === undefined && m.valueBase64 === undefined) return <p className="value-none">No value: a tombstone. In a compacted topic it deletes the key.</p>;
  if (m.valueSize === 0) return <p className="value-none">The value is empty (zero bytes); it is not a tombstone.</p>;
  const binary = shown?.valueBase64 !== undefined;
  const looksJson = /^\s*[[{"]/.test(text ?? m.value ?? "");
  const at: Form = form ?? (doc ? "tree" : binary ? "hex" : "text");
  const load = () => {
    setLoading(true);
    loadWhole(m).then(
      (all) => {
        setWhole(all);
        setForm("tree");
        setLoading(null);
      },
      (e: unknown) => setLoading(e),
    );
  };
  const end = paged.data ? paged.data.from + paged.data.bytes : 0;
  return (
    <div className="value-view">
      <div className="value-bar" role="group" aria-label="How the value is shown">
        {(["tree", "text", "hex"] as const).map((f) => (
          <button key={f} type="button" className="quiet" aria-pressed={at === f} disabled={f === "tree" && !doc} onClick={() => setForm(f)}>
            {f}
          </button>
        ))}
        <a className="button" href={rawOf(m, "value")} download>
          Download {bytes(m.valueSize)}
        </a>
      </div>
      {m.valueCut && whole === null && (
        <div className="parts-bar">
          <button type="button" disabled={from === 0} onClick={() => setFrom(Math.max(0, from - part))}>
            Earlier
          </button>
          <button type="button" disabled={!paged.data || end >= m.valueSize} onClick={() => setFrom(end)}>
            Later
          </button>
          <span className="num">
            {paged.data ? `bytes ${count(paged.data.from)} to ${count(end)} of ${count(m.valueSize)}` : `the first bytes of ${count(m.valueSize)}`}
          </span>
          {looksJson &&
            (m.valueSize <= wholeTree ? (
              <button type="button" disabled={loading === true} onClick={load}>
                {loading === true ? "Loading …" : "Load it whole as a tree"}
              </button>
            ) : (
              <span className="muted">larger than {bytes(wholeTree)}: no tree</span>
            ))}
        </div>
      )}
      {paged.isError && <Failure error={paged.error} again={() => void paged.refetch()} />}
      {loading !== null && loading !== true && <Failure error={loading} />}
      <Region label="Value" className="value">
        {at === "tree" && doc ? <Tree value={doc} /> : at === "hex" ? <Hex m={shown ?? m} from={paged.data?.from ?? 0} /> : <Plain m={shown ?? m} />}
      </Region>
    </div>
  );
}

/** The whole value of a message, loaded with as few calls as possible. */
async function loadWhole(m: Message): Promise<Message> {
  let text = "";
  for (let at = 0; at < m.valueSize; ) {
    const d = await get<Detail>(`${pathOf(m)}?from=${at}&bytes=${onePart}`);
    if (d.message.value === undefined || d.bytes === 0) throw new Error("The value is not text");
    text += d.message.value;
    at = d.from + d.bytes;
  }
  const { valueCut: _, ...rest } = m;
  return { ...rest, value: text };
}

function Plain({ m }: { m: Message }) {
  const text = textOf(m.value, m.valueBase64) ?? "";
  return (
    <pre>
      <Safe text={text.length > part * 4 ? text.slice(0, part * 4) : text} />
    </pre>
  );
}

const hexPage = 16 * 1024;

function Hex({ m, from }: { m: Message; from: number }) {
  const [most, setMost] = useState(hexPage);
  const all = useMemo(() => bytesOf(m.value, m.valueBase64) ?? new Uint8Array(), [m]);
  return (
    <>
      <pre className="hex">{hexLines(all.subarray(0, most), from).join("\n")}</pre>
      {all.length > most && (
        <button type="button" className="j-more" onClick={() => setMost(most * 4)}>
          more of {bytes(all.length)}
        </button>
      )}
    </>
  );
}
