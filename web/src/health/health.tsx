import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useEffectEvent, useRef, useState } from "react";
import { type Check, get, type Health } from "../api/client";
import { Copy } from "../ui/copy";
import { duration } from "../ui/format";
import { CheckIcon, CrossIcon, InfoIcon, WarnIcon } from "../ui/icons";
import { useKafka } from "../ui/kafka";
import { StaleNote, Waiting } from "../ui/states";
import { Time } from "../ui/time";
import { pieces } from "./commands";

const order = ["problem", "warning", "ok", "skipped"] as const;
const icons = { problem: <CrossIcon />, warning: <WarnIcon />, ok: <CheckIcon />, skipped: <InfoIcon /> };
const classes = { problem: "bad-text", warning: "warn-text", ok: "ok-text", skipped: "muted" };
const headings = { problem: "Problems", warning: "Warnings", ok: "OK", skipped: "Not running, and optional" };

/** The findings of doctor: problem, cause and fix. */
export function HealthView() {
  const client = useQueryClient();
  const [busy, setBusy] = useState(false);
  const health = useQuery({ queryKey: ["health"], queryFn: ({ signal }) => get<Health>("/health", signal), refetchInterval: 15_000 });
  const again = () => {
    setBusy(true);
    client
      .query({ queryKey: ["health"], queryFn: () => get<Health>("/health?fresh=true"), staleTime: 0 })
      .catch(() => undefined) // the query shows the error
      .finally(() => setBusy(false));
  };
  const h = health.data;
  // A complete check takes a while and is rare. Whether Kafka answers is known at once; a change of that starts a check.
  const { down, of: kafka } = useKafka();
  const was = useRef(down);
  const [since, setSince] = useState(0); // when Kafka stopped answering, ms since 1970
  const changed = useEffectEvent(() => {
    setSince(down ? Date.now() : 0);
    again();
  });
  useEffect(() => {
    if (was.current === down) return;
    was.current = down;
    changed();
  }, [down]);
  const overtaken = h !== undefined && (health.isError || health.dataUpdatedAt < since);
  return (
    <main id="main" className="page health" aria-busy={health.isPending}>
      <div className="toolbar">
        <h1>Health</h1>
        {h && (
          <span className={classes[worst(h.checks)]} role="status">
            {icons[worst(h.checks)]} {verdict(h.checks)}
          </span>
        )}
        <span className="toolbar-end">
          {h && (
            <span className="muted looked">
              checked at <Time at={h.at} />, took {duration(h.tookMs)}
            </span>
          )}
          <button type="button" disabled={busy} onClick={again}>
            {busy ? "Checking …" : "Check again"}
          </button>
        </span>
      </div>
      {overtaken && <StaleNote of={health.isError ? health : kafka} what="the cluster" />}
      {h === undefined && <StaleNote of={health} what="the health checks" />}
      {health.isPending && <Waiting what="the checks of every broker and service (up to ten seconds if one does not answer)" />}
      {h && (
        <div className={overtaken ? "stale" : ""}>
          {order.map((status) => {
            const checks = h.checks.filter((c) => c.status === status);
            if (checks.length === 0) return null;
            return (
              <section key={status} aria-labelledby={`health-${status}`}>
                <h2 id={`health-${status}`} className={status === "skipped" ? "muted" : ""}>
                  {headings[status]}
                </h2>
                <ul className={`checks ${status}`}>
                  {checks.map((c) => (
                    <One key={`${c.id} ${c.found}`} c={c} />
                  ))}
                </ul>
              </section>
            );
          })}
          <p className="muted">
            The same in a terminal: <code>smartlb kafka doctor</code>
          </p>
        </div>
      )}
    </main>
  );
}

function worst(checks: Check[]): Check["status"] {
  return order.find((s) => checks.some((c) => c.status === s)) ?? "ok";
}

function verdict(checks: Check[]): string {
  const n = (s: Check["status"]) => checks.filter((c) => c.status === s).length;
  const words = [n("problem") && `${n("problem")} ${n("problem") === 1 ? "problem" : "problems"}`, n("warning") && `${n("warning")} ${n("warning") === 1 ? "warning" : "warnings"}`].filter(Boolean);
  return words.join(", ") || "no problems";
}

function One({ c }: { c: Check }) {
  return (
    <li>
      <span className={classes[c.status]}>
        {icons[c.status]} <b>{c.group}</b>
      </span>
      <div>
        <p className={c.status === "skipped" ? "muted" : ""}>{c.found}</p>
        {c.cause && (
          <p>
            <span className="muted">Cause:</span> {c.cause}
          </p>
        )}
        {c.fix && (
          <p>
            <span className="muted">Fix:</span>{" "}
            {pieces(c.fix).map((p, n) =>
              p.command ? (
                <span key={n} className="command">
                  <code>{p.text}</code> <Copy text={p.text}>Copy</Copy>
                </span>
              ) : (
                <span key={n}>{p.text}</span>
              ),
            )}
          </p>
        )}
      </div>
    </li>
  );
}
