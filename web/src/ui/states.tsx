import { type ReactNode, useEffect, useState } from "react";
import { ApiError } from "../api/client";

const patience = 300; // ms without a word

/** What a view shows until its data is there: nothing at first, then what it waits for. */
export function Waiting({ what }: { what: string }) {
  const [long, setLong] = useState(false);
  useEffect(() => {
    const t = setTimeout(() => setLong(true), patience);
    return () => clearTimeout(t);
  }, []);
  return (
    <div className="empty waiting" role="status" aria-busy="true">
      {long && <p>Waiting for {what} …</p>}
    </div>
  );
}

/** Why something could not be done, what fixes it, and a way to try again. */
export function Failure({ error, again }: { error: unknown; again?: () => void }) {
  const problem = error instanceof ApiError ? error.problem : { error: error instanceof Error ? error.message : String(error) };
  return (
    <div className="failure" role="alert">
      <p className="bad-text">{problem.error}</p>
      {"hint" in problem && problem.hint && <p className="muted">{problem.hint}</p>}
      {again && (
        <button type="button" onClick={again}>
          Try again
        </button>
      )}
    </div>
  );
}

/** A place where there is nothing yet, with the next step. */
export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <h2>{title}</h2>
      {children}
    </div>
  );
}

/** Says above data that is still shown that it is not of now, and why. */
export function StaleNote({ of, what }: { of: { isError: boolean; error: unknown; data: unknown }; what: string }) {
  if (!of.isError) return null;
  const error = of.error instanceof ApiError ? of.error.problem.error : "the console does not answer";
  const hint = of.error instanceof ApiError ? of.error.problem.hint : "";
  return (
    <div className="stale-note" role="status">
      <p className="bad-text">
        {of.data === undefined ? `Waiting for ${what}` : `Last answer of ${what}`}: {error}. Trying again.
      </p>
      {hint && <p className="muted">{hint}</p>}
    </div>
  );
}
