import { bytes, count, percent, rate, span } from "../../ui/format";
import { Failure } from "../../ui/states";
import type { Search } from "./search";

interface Props {
  s: Search;
  onContinue: () => void;
  onAgain: () => void;
  onMore: () => void;
}

const reasons = { end: "All messages were searched", limit: "The limit of matches was reached", bytes: "The limit of bytes was reached", time: "The time limit was reached" };

/** The progress of a search, and how it ended. */
export function SearchProgress({ s, onContinue, onAgain, onMore }: Props) {
  const p = s.progress;
  return (
    <div className="search-state">
      <p role="status" className="search-note">
        <b className="num">{count(s.rows.length)}</b> found
        {p && (
          <>
            {" "}
            in <span className="num">{count(p.records)}</span> messages, {bytes(p.bytes)}
            {s.running && (
              <span className="muted">
                {" "}
                · {rate(p.rate)} a second · {percent(p.share)}
              </span>
            )}
          </>
        )}
        {s.running && !p && <span className="muted"> · reading</span>}
        {s.stopped && <span className="warn-text"> · stopped</span>}
        {!s.running && !s.end && p && <span className="muted">, {percent(p.share)} of the log</span>}
        {s.end && (
          <span className="muted">
            {" "}
            · {reasons[s.end.reason]}
            {s.end.reason === "limit" && ` (${count(s.end.limit)})`}
            {s.end.reason === "bytes" && ` (${bytes(s.end.budgetBytes)})`}
            {s.end.reason === "time" && ` (${span(s.end.budgetMs)})`}
            {s.end.reason !== "end" && `, ${percent(s.end.progress.share)} of the log`}
          </span>
        )}
        {!s.running && p?.next && (
          <button type="button" onClick={onContinue}>
            Continue
          </button>
        )}
        {s.end && (s.end.reason === "bytes" || s.end.reason === "time") && (
          <button type="button" className="quiet" onClick={onMore}>
            Search again with a larger limit
          </button>
        )}
      </p>
      <div className="meter" aria-hidden="true">
        <i style={{ width: `${s.running ? (p?.share ?? 0) * 100 : 0}%` }} />
      </div>
      {s.end && s.end.undecided > 0 && (
        <p className="warn-text small">
          The expression could not be evaluated for {count(s.end.undecided)} messages, which are left out. The first: {s.end.undecidedWhy}
        </p>
      )}
      {s.end?.notes.map((n) => (
        <p key={n} className="muted small">
          {n}
        </p>
      ))}
      {s.problem != null && <Failure error={s.problem} again={onAgain} />}
    </div>
  );
}
