import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useDeferredValue, useEffect, useId, useMemo, useRef, useState } from "react";
import { type Configuration, post } from "../api/client";
import type { components } from "../api/schema";
import { Editor, type Mark, type Marks } from "../ui/editor";
import { CheckIcon, WarnIcon } from "../ui/icons";
import { Link } from "../ui/link";
import { useForbidden } from "../ui/session";
import { Failure } from "../ui/states";
import { configKey } from "./query";
import { changedLines, Diff } from "../ui/diff";

type Checked = components["schemas"]["CheckedDocument"];
type DocumentMistake = components["schemas"]["DocumentMistake"];

const draftKey = "smartlb.draft";

interface Draft {
  base: string;
  document: string;
}

function stored(): Draft | null {
  try {
    return JSON.parse(sessionStorage.getItem(draftKey) ?? "null") as Draft | null;
  } catch {
    return null;
  }
}

/** Edits a new revision. The node checks it while the user types; it is compared with the current revision, then published. */
export function Edit({ c }: { c: Configuration }) {
  const client = useQueryClient();
  const [own, setOwn] = useState(stored);
  const draft: Draft = own ?? { base: c.revision, document: c.document }; // without a draft, the current document
  const [comment, setComment] = useState("");
  const [adopt, setAdopt] = useState(false);
  const forbidden = useForbidden("admin");
  const document = useDeferredValue(draft.document);
  const debounced = useDebounced(document, 300);
  const id = useId();
  const goTo = useRef<((line: number) => void) | null>(null);
  const check = useQuery({
    queryKey: ["config-check", c.revision, debounced],
    queryFn: async () => ({ of: debounced, ...(await post<Checked>("/config/check", { document: debounced })) }),
    placeholderData: (old) => old,
    staleTime: Infinity,
    gcTime: 10_000,
  });
  const write = (text: string) => {
    const d = { base: draft.base, document: text };
    setOwn(d);
    try {
      sessionStorage.setItem(draftKey, JSON.stringify(d)); // a draft outlives a reload, not the tab
    } catch {
      // the storage is full or forbidden: the draft is lost on a reload
    }
  };
  const reset = () => {
    sessionStorage.removeItem(draftKey);
    setOwn(null);
  };
  const apply = useMutation({
    mutationFn: () => post<{ revision: string }>("/config/revisions", { document: draft.document, base: adopt ? c.revision : draft.base, comment, adopt }),
    onSuccess: async () => {
      sessionStorage.removeItem(draftKey);
      setComment("");
      setAdopt(false);
      await client.invalidateQueries({ queryKey: configKey });
      setOwn(null); // it is the current document by now
    },
  });
  const moved = draft.base !== c.revision;
  const changed = draft.document !== c.document;
  const { mistakes, warnings } = check.data ?? nothingFound;
  const marks = useMemo(() => marksOf(check.data), [check.data]);
  const lost = c.nodes.some((n) => n.lostLog);
  const why = forbidden || (!changed && !adopt ? "Nothing is changed" : mistakes.length > 0 ? "The document has mistakes" : moved && !adopt ? "Another revision became current" : "");
  return (
    <form
      className="form edit"
      onSubmit={(e) => {
        e.preventDefault();
        if (!why) apply.mutate();
      }}
    >
      {moved && changed && !apply.isPending && (
        <div className="failure" role="alert">
          <p>
            This draft is based on <b className="mono">{draft.base || "no revision"}</b>, but the current revision is <b className="mono">{c.revision}</b>. See{" "}
            <Link href={`/configuration/history?from=${encodeURIComponent(draft.base)}`}>what changed in between</Link>.
          </p>
          <p>
            <button type="button" onClick={() => setOwn({ base: c.revision, document: draft.document })}>
              Keep my text, replace {c.revision}
            </button>{" "}
            <button type="button" onClick={reset}>
              Discard my draft
            </button>
          </p>
        </div>
      )}
      <Editor label="Routes and services, YAML" language="yaml" rows={24} value={draft.document} onChange={write} readOnly={apply.isPending} marks={marks} describedBy={`${id}-mistakes`} goTo={goTo} />
      <div id={`${id}-mistakes`} className="mistakes" role="status">
        {check.isError ? (
          <Failure error={check.error} />
        ) : mistakes.length > 0 ? (
          <>
            <p className="bad-text">
              <WarnIcon /> {mistakes.length === 1 ? "1 mistake" : `${mistakes.length} mistakes`}
            </p>
            <Places list={mistakes} goTo={(line) => goTo.current?.(line)} />
          </>
        ) : check.data ? (
          <p className="ok-text">
            <CheckIcon /> The document is valid; {changedLines(check.data.lines)}
          </p>
        ) : null}
        {warnings.length > 0 && (
          <>
            <p className="warn-text">
              <WarnIcon /> {warnings.length === 1 ? "1 warning" : `${warnings.length} warnings`}
            </p>
            <Places list={warnings} goTo={(line) => goTo.current?.(line)} />
          </>
        )}
      </div>
      {changed && check.data && (
        <section aria-labelledby="preview">
          <h2 id="preview">What it changes</h2>
          <Diff lines={check.data.lines} label="What the draft changes" />
        </section>
      )}
      <div>
        <label htmlFor={`${id}-comment`}>Comment</label>
        <input id={`${id}-comment`} type="text" maxLength={1000} placeholder="Why" value={comment} onChange={(e) => setComment(e.target.value)} />
      </div>
      {(lost || adopt) && (
        <label className="check">
          <input type="checkbox" checked={adopt} onChange={(e) => setAdopt(e.target.checked)} /> Adopt: also nodes that keep their last good configuration, because the log was lost, take it over
        </label>
      )}
      {apply.isError && <Failure error={apply.error} />}
      <div className="actions">
        <button type="submit" className="primary" disabled={why !== "" || apply.isPending} title={why || undefined}>
          {apply.isPending ? "Publishing …" : "Publish"}
        </button>
        {changed && (
          <button type="button" onClick={reset}>
            Discard
          </button>
        )}
        <p className="outcome muted" role="status">
          {apply.data && !changed ? `${apply.data.revision} is published; Current shows which nodes have applied it` : why}
        </p>
      </div>
    </form>
  );
}

const nothingFound: Pick<Checked, "mistakes" | "warnings"> = { mistakes: [], warnings: [] };

/** What a check found, as marks of the document that it checked. */
function marksOf(checked: (Checked & { of: string }) | undefined): Marks {
  const mark = (severity: Mark["severity"]) => (m: DocumentMistake) => ({ line: m.line, text: m.path ? `${m.path}: ${m.text}` : m.text, severity });
  return { of: checked?.of ?? "", list: [...(checked?.mistakes ?? []).map(mark("error")), ...(checked?.warnings ?? []).map(mark("warning"))] };
}

function useDebounced<T>(value: T, wait: number): T {
  const [v, set] = useState(value);
  useEffect(() => {
    const t = setTimeout(() => set(value), wait);
    return () => clearTimeout(t);
  }, [value, wait]);
  return v;
}

// Places lists mistakes or warnings, each with a button that shows its line.
function Places({ list, goTo }: { list: DocumentMistake[]; goTo: (line: number) => void }) {
  return (
    <ul>
      {list.slice(0, 50).map((m, n) => (
        <li key={n}>
          {m.line > 0 ? (
            <button type="button" className="quiet" onClick={() => goTo(m.line)}>
              line {m.line}
            </button>
          ) : null}{" "}
          {m.path && <code>{m.path}</code>} {m.text}
        </li>
      ))}
    </ul>
  );
}
