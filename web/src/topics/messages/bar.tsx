import { useQuery } from "@tanstack/react-query";
import { useEffect, useId, useState } from "react";
import { post } from "../../api/client";
import { Dialog, Ending } from "../../ui/dialog";
import { significant } from "../../ui/format";
import { TimeField } from "../../ui/time";
import { isLive, noQuery, type Query, same, type Term, terms } from "./query";
import type { FilterCheck } from "./types";

interface Props {
  query: Query;
  running: boolean;
  onSubmit: (q: Query) => void;
  onStop: () => void;
  /** Fields of this topic's messages, as expressions name them. */
  fields: { path: string; kind: string; sample: string }[];
}

type Kind = "live" | "newest" | "start" | "offset" | "time" | "last";

const kinds: [Kind, string][] = [
  ["live", "Live"],
  ["newest", "Newest first"],
  ["start", "From the oldest"],
  ["offset", "From an offset"],
  ["time", "From a time"],
  ["last", "Last N of each partition"],
];

function kindOf(from: string): Kind {
  if (from === "" || from === "live") return "live";
  if (from === "newest" || from === "latest") return "newest";
  if (["start", "earliest", "beginning", "oldest"].includes(from)) return "start";
  if (from.startsWith("@")) return "time";
  return from.startsWith("-") ? "last" : "offset";
}

const labels: Record<Term, [title: string, hint: string]> = {
  text: ["Words", "in key, value or headers"],
  key: ["Key", 'part of it, or "all of it"'],
  header: ["Header", "name, or name:text"],
  json: ["JSON", "metrics.cpuUsage > 0.9"],
  where: ["CEL", "value.metrics.cpuUsage > 0.9 && key.startsWith(\"user\")"],
};

/** The start and the terms of a search. The search starts when the form is submitted. */
export function SearchBar({ query, running, onSubmit, onStop, fields }: Props) {
  const [draft, setDraft] = useState(query);
  const [help, setHelp] = useState(false);
  const [draftOf, setDraftOf] = useState(query);
  if (draftOf !== query) {
    setDraftOf(query);
    setDraft(query);
  }
  const kind = kindOf(draft.from);
  const set = (more: Partial<Query>) => setDraft((d) => ({ ...d, ...more }));
  const { check, current } = useChecked(draft);
  const advanced = terms.some((t) => t !== "text" && draft[t] !== "") || ["until", "order", "limit", "bytes", "seconds", "partitions"].some((n) => draft[n as keyof Query] !== "");
  const [more, setMore] = useState(advanced);
  const id = useId();
  const bad = check && !check.valid && current; // changed terms may be correct; the server checks them when the search starts
  const submit = () => {
    if (!bad) onSubmit(draft);
  };
  return (
    <form
      className="search-bar"
      role="search"
      aria-label="Messages"
      onSubmit={(e) => {
        e.preventDefault();
        submit();
      }}
    >
      <div className="search-line">
        <label>
          <span className="visually-hidden">Where to begin</span>
          <select
            value={kind}
            onChange={(e) => {
              const next = { ...draft, from: startOf(e.target.value as Kind), order: "" };
              setDraft(next);
              if (["live", "newest", "start"].includes(e.target.value) && !bad) onSubmit(next);
            }}
          >
            {kinds.map(([k, name]) => (
              <option key={k} value={k}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <Place kind={kind} from={draft.from} onChange={(from) => set({ from })} />
        <label className="grow">
          <span className="visually-hidden">Words</span>
          <input type="search" placeholder="Words in key, value or headers  /" value={draft.text} onChange={(e) => set({ text: e.target.value })} aria-invalid={mistakesOf(check, "text").length > 0} />
        </label>
        <button type="button" className="quiet" aria-expanded={more} aria-controls={`${id}-more`} onClick={() => setMore(!more)}>
          {more ? "Fewer filters" : "More filters"}
        </button>
        {running ? (
          <>
            <button type="submit" hidden disabled={bad === true} /> {/* Enter begins anew: without it the key would do nothing */}
            <button type="button" className="primary" onClick={onStop}>
              Stop
            </button>
          </>
        ) : (
          <button type="submit" className="primary" disabled={bad === true}>
            {kind === "live" ? "Filter" : "Search"}
          </button>
        )}
        {!same(draft, { ...noQuery, from: draft.from }) && (
          <button type="button" className="quiet" onClick={() => onSubmit({ ...noQuery, from: draft.from })}>
            Clear
          </button>
        )}
      </div>
      <Mistakes check={check} term="text" />
      {more && (
        <div className="search-more" id={`${id}-more`}>
          {terms.slice(1).map((t) => (
            <p key={t} className={`term-${t}`}>
              <label htmlFor={`${id}-${t}`}>{labels[t][0]}</label>
              <input
                id={`${id}-${t}`}
                type="text"
                spellCheck={false}
                autoComplete="off"
                placeholder={labels[t][1]}
                value={draft[t]}
                aria-invalid={mistakesOf(check, t).length > 0}
                aria-describedby={`${id}-${t}-e`}
                onChange={(e) => set({ [t]: e.target.value })}
              />
              <span id={`${id}-${t}-e`}>
                <Mistakes check={check} term={t} />
              </span>
            </p>
          ))}
          <p className="examples">
            <span className="muted">Try </span>
            {examples(fields).map((e) => (
              <button key={e} type="button" className="example" onClick={() => set({ where: e })}>
                {e}
              </button>
            ))}
            <button type="button" className="quiet" onClick={() => setHelp(true)}>
              Help on CEL
            </button>
          </p>
          <Bounds draft={draft} set={set} id={id} live={isLive(draft)} />
        </div>
      )}
      {help && <CelHelp fields={fields} onClose={() => setHelp(false)} onUse={(where) => set({ where })} />}
    </form>
  );
}

function startOf(kind: Kind): string {
  switch (kind) {
    case "offset":
      return "0";
    case "time":
      return `@${Date.now() - 3_600_000}`;
    case "last":
      return "-100";
    default:
      return kind === "live" ? "" : kind;
  }
}

function Place({ kind, from, onChange }: { kind: Kind; from: string; onChange: (from: string) => void }) {
  if (kind === "offset")
    return (
      <label>
        <span className="visually-hidden">Offset</span>
        <input type="number" min="0" step="1" value={from} onChange={(e) => onChange(e.target.value || "0")} />
      </label>
    );
  if (kind === "last")
    return (
      <label>
        <span className="visually-hidden">How many of each partition</span>
        <input type="number" min="1" step="1" value={from.slice(1)} onChange={(e) => onChange(`-${e.target.value || "1"}`)} />
      </label>
    );
  if (kind === "time") {
    return (
      <label>
        <span className="visually-hidden">Local time, to the millisecond</span>
        <TimeField ms={Number(from.slice(1))} onChange={(ms) => ms !== null && onChange(`@${ms}`)} />
      </label>
    );
  }
  return null;
}

const budgets: [value: string, name: string][] = [
  ["", "64 MiB"],
  [String(256 * 2 ** 20), "256 MiB"],
  [String(2 ** 30), "1 GiB"],
  [String(16 * 2 ** 30), "16 GiB"],
];
const patiences: [value: string, name: string][] = [
  ["", "30 s"],
  ["120", "2 min"],
  ["600", "10 min"],
];

function Bounds({ draft, set, id, live }: { draft: Query; set: (q: Partial<Query>) => void; id: string; live: boolean }) {
  return (
    <div className="bounds">
      <p>
        <label htmlFor={`${id}-parts`}>Partitions</label>
        <input id={`${id}-parts`} type="text" inputMode="numeric" placeholder="all" value={draft.partitions} onChange={(e) => set({ partitions: e.target.value.replace(/[^0-9,]/g, "") })} />
      </p>
      {!live && (
        <>
          <p>
            <label htmlFor={`${id}-until`}>Until</label>
            <TimeField id={`${id}-until`} ms={draft.until.startsWith("@") ? Number(draft.until.slice(1)) : null} onChange={(v) => set({ until: v === null ? "" : `@${v}` })} />
          </p>
          <Choice id={`${id}-order`} name="Order" value={draft.order} options={[["", "default"], ["newest", "newest first"], ["oldest", "oldest first"]]} onChange={(order) => set({ order })} />
          <Choice id={`${id}-limit`} name="Matches, at most" value={draft.limit} options={[["", "100"], ["300", "300"], ["1000", "1,000"]]} onChange={(limit) => set({ limit })} />
          <Choice id={`${id}-bytes`} name="Bytes to read, at most" value={draft.bytes} options={budgets} onChange={(b) => set({ bytes: b })} />
          <Choice id={`${id}-sec`} name="Time, at most" value={draft.seconds} options={patiences} onChange={(seconds) => set({ seconds })} />
        </>
      )}
    </div>
  );
}

function Choice({ id, name, value, options, onChange }: { id: string; name: string; value: string; options: [string, string][]; onChange: (v: string) => void }) {
  const all = options.some(([v]) => v === value) ? options : [...options, [value, value] as [string, string]];
  return (
    <p>
      <label htmlFor={id}>{name}</label>
      <select id={id} value={value} onChange={(e) => onChange(e.target.value)}>
        {all.map(([v, text]) => (
          <option key={v} value={v}>
            {text}
          </option>
        ))}
      </select>
    </p>
  );
}

/** The server's check of the terms, shortly after the last key, and whether it is about the current terms. */
function useChecked(draft: Query): { check: FilterCheck | undefined; current: boolean } {
  const [settled, setSettled] = useState(draft);
  useEffect(() => {
    const t = setTimeout(() => setSettled(draft), 250);
    return () => clearTimeout(t);
  }, [draft]);
  const body = { text: settled.text, key: settled.key, header: settled.header, json: settled.json, where: settled.where };
  const asks = terms.some((t) => settled[t] !== "");
  const answer = useQuery({
    queryKey: ["filter", body],
    queryFn: () => post<FilterCheck>("/filters/check", body),
    enabled: asks,
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
  });
  return { check: asks ? answer.data : undefined, current: terms.every((t) => settled[t] === draft[t]) };
}

const mistakesOf = (check: FilterCheck | undefined, term: Term) => check?.mistakes.filter((m) => m.term === term) ?? [];

function Mistakes({ check, term }: { check: FilterCheck | undefined; term: Term }) {
  const list = mistakesOf(check, term);
  if (list.length === 0) return null;
  return (
    <span className="mistake bad-text" role="alert">
      {list.slice(0, 3).map((m) => (
        <span key={`${m.line}:${m.column}${m.text}`}>
          {m.line > 0 && `${m.line > 1 ? `line ${m.line}, ` : ""}character ${m.column}: `}
          {m.text}{" "}
        </span>
      ))}
    </span>
  );
}

/** Expressions for this topic's own fields. */
function examples(fields: Props["fields"]): string[] {
  const out: string[] = [];
  const number = fields.find((f) => f.kind === "number" && f.path !== "value.timestamp");
  const text = fields.find((f) => f.kind === "string" && !/timestamp|time$|At$/.test(f.path));
  if (number) out.push(`${number.path} > ${significant(Number(number.sample), 2)}`);
  if (text) out.push(`${text.path} == ${JSON.stringify(text.sample)}`);
  out.push('key.startsWith("user")', "size > 10000", "value == null");
  return out;
}

function CelHelp({ fields, onClose, onUse }: { fields: Props["fields"]; onClose: () => void; onUse: (where: string) => void }) {
  return (
    <Dialog title="Expressions" onClose={onClose} wide>
      <p>
        Expressions are CEL. They see <code>value</code> (parsed where it is JSON, else its text), <code>key</code>, <code>headers</code>, <code>text</code> (the value as it is), <code>size</code>, <code>timestamp</code>,{" "}
        <code>partition</code>, <code>offset</code> and <code>topic</code>. If a field is missing, an expression is neither true nor false: such messages are left out and counted.
      </p>
      <dl className="pairs cel">
        {[
          ["value.metrics.cpuUsage > 0.9", "a number"],
          ['key.startsWith("user") || key.endsWith("-1")', "text"],
          ['value.tags.region.matches("^us-")', "a regular expression"],
          ["has(value.metrics.cpuUsage)", "the field is there"],
          ['value.?tags.?zone.orValue("none") == "none"', "a field that may be missing"],
          ['"smartlb-reporter" in headers', "a header is there"],
          ['headers["smartlb-reporter"].startsWith("proxy/")', "and what it says"],
          ['timestamp > timestamp("2026-01-02T15:04:05Z")', "a time"],
          ["value == null", "a tombstone, or the text null"],
          ["size == 0 && value != null", "an empty value"],
        ].map(([e, what]) => (
          <div key={e}>
            <dt>
              <button type="button" className="example" onClick={() => use(e ?? "")}>
                {e}
              </button>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      {fields.length > 0 && (
        <>
          <h3>Fields of the messages shown</h3>
          <p className="fields">
            {fields.map((f) => (
              <button key={f.path} type="button" className="example" title={f.sample} onClick={() => use(`${f.path} == ${f.kind === "string" ? JSON.stringify(f.sample) : f.sample || "null"}`)}>
                {f.path}
              </button>
            ))}
          </p>
        </>
      )}
      <Ending onClose={onClose} word="Close" />
    </Dialog>
  );
  function use(e: string) {
    onUse(e);
    onClose();
  }
}

