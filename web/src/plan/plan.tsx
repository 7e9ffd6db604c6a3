import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { type Applied, get, type Plan, post, type Step } from "../api/client";
import { stepText } from "../ui/setting";
import { Confirm } from "../ui/confirm";
import { Copy } from "../ui/copy";
import { count } from "../ui/format";
import { CheckIcon, CrossIcon, InfoIcon, WarnIcon } from "../ui/icons";
import { Link } from "../ui/link";
import { paths, useParam } from "../ui/route";
import { useForbidden } from "../ui/session";
import { StaleNote, Waiting } from "../ui/states";

type Permission = NonNullable<Step["needs"]>;

const permissions: { id: Permission; title: string; why: string }[] = [
  { id: "allow-repartition", title: "Add partitions to topics with records", why: "New records of a key may go to another partition; existing records stay in theirs." },
  { id: "allow-loss", title: "Changes that may lose data", why: "Shorter retention and smaller limits delete records, or refuse records that were accepted before." },
];

const changes = (s: Step) => ["create", "add-partitions", "set-config", "unset-config"].includes(s.kind);
const keyOf = (s: Step) => `${s.kind} ${s.topic} ${s.config ?? ""}`;

/** The steps that make the cluster's topics match the catalog, and their execution. Nothing is ever deleted. */
export function PlanView() {
  const [reset, setReset] = useParam("reset");
  const [allowed, setAllowed] = useState<Permission[]>([]);
  const [asking, setAsking] = useState(false);
  const [done, setDone] = useState<Applied | null>(null);
  const client = useQueryClient();
  const forbidden = useForbidden("admin");
  const plan = useQuery({
    queryKey: ["plan", reset],
    queryFn: ({ signal }) => get<Plan>(`/catalog/plan${reset ? "?resetUnmanaged=true" : ""}`, signal),
    refetchInterval: 10_000,
    placeholderData: (before) => before,
  });
  const steps = plan.data?.steps ?? [];
  const own = steps.filter((s) => s.kind !== "foreign");
  const foreign = steps.filter((s) => s.kind === "foreign");
  const due = own.filter((s) => changes(s) && (!s.needs || allowed.includes(s.needs)));
  const command = ["smartlb kafka apply", reset && "--reset-unmanaged", ...allowed.map((a) => `--${a}`)].filter(Boolean).join(" ");
  const apply = async () => {
    const result = await post<Applied>("/catalog/apply", { resetUnmanaged: reset !== "", allow: allowed });
    setDone(result);
    setAllowed([]);
    await Promise.all([client.invalidateQueries({ queryKey: ["plan"] }), client.invalidateQueries({ queryKey: ["topics"] }), client.invalidateQueries({ queryKey: ["topic"] })]);
  };
  return (
    <main id="main" className="page plan" aria-busy={plan.isPending}>
      <div className="toolbar">
        <h1>Plan of topics.yaml</h1>
        {plan.data && <span className="muted">cluster {plan.data.cluster}</span>}
      </div>
      <p className="muted prose">
        The changes that make the cluster's topics match the catalog of smartlb, as <code>smartlb kafka plan</code> prints them. No topic is ever deleted.
      </p>
      <StaleNote of={plan} what="the plan" />
      {plan.isPending && <Waiting what="the cluster to be compared with the catalog" />}
      {plan.data && (
        <div className={plan.isError ? "stale" : ""}>
          <section aria-labelledby="steps-h">
            <h2 id="steps-h">{own.length === 0 ? "No changes" : `${count(own.length)} ${own.length === 1 ? "difference" : "differences"}`}</h2>
            {own.length === 0 ? (
              <p className="ok-text">
                <CheckIcon /> The cluster is as the catalog says.
              </p>
            ) : (
              <ul className="steps">
                {own.map((s) => (
                  <StepLine key={keyOf(s)} s={s} due={due.includes(s)} />
                ))}
              </ul>
            )}
            <label className="switch">
              <input type="checkbox" checked={reset !== ""} onChange={(e) => setReset(e.target.checked ? "1" : "")} /> Settings that the catalog does not name go back to the default
            </label>
          </section>
          {plan.data.counts.guarded > 0 && (
            <section aria-labelledby="allow-h">
              <h2 id="allow-h">Steps that need a permission</h2>
              {permissions
                .map((p) => ({ ...p, n: own.filter((s) => s.needs === p.id).length }))
                .filter((p) => p.n > 0)
                .map((p) => (
                  <p key={p.id}>
                    <label className="switch">
                      <input
                        type="checkbox"
                        disabled={forbidden !== ""}
                        checked={allowed.includes(p.id)}
                        onChange={(e) => setAllowed(e.target.checked ? [...allowed, p.id] : allowed.filter((a) => a !== p.id))}
                      />{" "}
                      <b>{p.title}</b> ({p.n === 1 ? "one step" : `${p.n} steps`})
                    </label>
                    <span className="muted"> {p.why}</span>
                  </p>
                ))}
            </section>
          )}
          {own.length > 0 && (
            <div className="actions apply">
              <button type="button" className="primary" disabled={forbidden !== "" || due.length === 0} title={forbidden} onClick={() => setAsking(true)}>
                {due.length === 0 ? "Nothing to apply" : `Apply ${due.length === 1 ? "one step" : `${due.length} steps`}`}
              </button>
              <Copy text={command}>Copy as command</Copy>
              <code>{command}</code>
            </div>
          )}
          {foreign.length > 0 && (
            <details>
              <summary>
                {count(foreign.length)} {foreign.length === 1 ? "topic is" : "topics are"} not in the catalog, and left alone
              </summary>
              <ul className="foreign">
                {foreign.slice(0, 200).map((s) => (
                  <li key={s.topic}>
                    <Link href={paths.topic(s.topic)}>{s.topic}</Link>
                  </li>
                ))}
              </ul>
              {foreign.length > 200 && <p className="muted">The first 200 topics; the list of topics has all.</p>}
            </details>
          )}
        </div>
      )}
      {done && <Result of={done} />}
      {asking && (
        <Confirm title="Apply the plan" verb="Apply" {...(due.some((s) => s.needs) ? { name: "apply" } : {})} run={apply} onClose={() => setAsking(false)}>
          <ul className="steps">
            {due.map((s) => (
              <StepLine key={keyOf(s)} s={s} due />
            ))}
          </ul>
        </Confirm>
      )}
    </main>
  );
}

function StepLine({ s, due }: { s: Step; due: boolean }) {
  const icon = s.kind === "impossible" ? <CrossIcon /> : s.needs ? <WarnIcon /> : changes(s) ? <span aria-hidden="true">{s.kind === "create" ? "+" : "~"}</span> : <InfoIcon />;
  return (
    <li className={due ? "due" : ""}>
      <span className={`mark ${s.kind === "impossible" ? "bad-text" : s.needs ? "warn-text" : ""}`}>{icon}</span>
      <span>
        <Link href={paths.topic(s.topic)}>{s.topic}</Link> {stepText(s)}
        {s.reason && s.kind !== "impossible" && <span className="warn-text">: {s.reason}</span>}
        {s.needs && <span className="tag warn">needs {s.needs}</span>}
        {s.kind === "unmanaged" && <span className="muted">, and left as it is</span>}
      </span>
    </li>
  );
}

const outcomes = { done: "ok-text", failed: "bad-text", blocked: "warn-text", left: "muted" } as const;

function Result({ of }: { of: Applied }) {
  const shown = of.steps.filter((s) => s.kind !== "foreign");
  return (
    <section aria-labelledby="result-h" role="status">
      <h2 id="result-h">
        {of.done} done, {of.failed} failed, {of.blocked} blocked
      </h2>
      <ul className="steps">
        {shown.map((s) => (
          <li key={keyOf(s)}>
            <span className={`mark ${outcomes[s.result]}`}>{s.result}</span>
            <span>
              {s.topic} {stepText(s)}
              {s.error && <span className="bad-text">: {s.error}</span>}
              {s.result === "blocked" && <span className="muted">: {s.reason ?? `it needs ${s.needs}`}</span>}
            </span>
          </li>
        ))}
      </ul>
      <p className="muted">{of.remaining.length === 0 ? "Read back: nothing differs." : `Read back: ${count(of.remaining.length)} still differ.`}</p>
    </section>
  );
}
