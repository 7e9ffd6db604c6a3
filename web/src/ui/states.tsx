import { type ReactNode, useEffect, useState } from "react";
import { ApiError } from "../api/client";

const quiet = 300; // ms without a text

/** Shown until a view's data arrives: nothing at first, then the name of the data. */
export function Waiting({ what }: { what: string }) {
  const [long, setLong] = useState(false);
  useEffect(() => {
    const t = setTimeout(() => setLong(true), quiet);
    return () => clearTimeout(t);
  }, []);
  return (
    <div className="empty waiting" role="status" aria-busy="true">
      {long && <p>Waiting for {what} …</p>}
    </div>
  );
}

/** An error, its fix, and a button to retry. */
export function Failure({ error, again }: { error: unknown; again?: () => void }) {
  const problem = error instanceof ApiError ? error.problem : { error: error instanceof Error ? error.message : String(error) };
  return (
    <div className="failure" role="alert">
      <p className="bad-text">{problem.error}</p>
      {"hint" in problem && problem.hint && <p className="muted">{problem.hint}</p>}
      {again && (
        <button type="button" onClick={again}>
          Retry
        </button>
      )}
    </div>
  );
}

/** Shown instead of an empty list, with the next step. */
export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <h2>{title}</h2>
      {children}
    </div>
  );
}

/** A note above data that is no longer current, with the reason. */
export function StaleNote({ of, what }: { of: { isError: boolean; error: unknown; data: unknown }; what: string }) {
  if (!of.isError) return null;
  const error = of.error instanceof ApiError ? of.error.problem.error : "the console does not answer";
  const hint = of.error instanceof ApiError ? of.error.problem.hint : "";
  return (
    <div className="stale-note" role="status">
      <p className="bad-text">
        {of.data === undefined ? `Waiting for ${what}` : `Last answer of ${what}`}: {error}. Retrying.
      </p>
      {hint && <p className="muted">{hint}</p>}
    </div>
  );
}
