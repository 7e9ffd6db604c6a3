import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { type Alert, get, remove, type Silence, seg } from "../api/client";
import { count, quantity } from "../ui/format";
import { CheckIcon, InfoIcon, WarnIcon } from "../ui/icons";
import { useKafka } from "../ui/kafka";
import { Link } from "../ui/link";
import { paths, useParam } from "../ui/route";
import { useForbidden } from "../ui/session";
import { Failure, StaleNote, Waiting } from "../ui/states";
import { Time } from "../ui/time";
import { Receivers } from "./receivers";
import { SilenceDialog } from "./silence";

const alertsKey = ["alerts"];
const silencesKey = ["silences"];

/** Firing, pending and resolved alerts, and the silences. */
export function AlertsView() {
  const alerts = useQuery({ queryKey: alertsKey, queryFn: ({ signal }) => get<Alert[]>("/alerts?past=true", signal), refetchInterval: 2_000 });
  const kafka = useKafka(); // alerts come from the console's memory
  const silences = useQuery({ queryKey: silencesKey, queryFn: ({ signal }) => get<Silence[]>("/silences", signal), refetchInterval: 5_000 });
  const [filter, setFilter] = useParam("q");
  const [silencing, setSilencing] = useState<Alert | null>(null);
  const client = useQueryClient();
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const all = (alerts.data ?? []).filter((a) => {
    const text = [a.ruleId, a.severity, a.annotations?.summary, ...Object.entries(a.labels ?? {}).map(([k, v]) => `${k}=${v}`)].join(" ").toLowerCase();
    return words.every((w) => text.includes(w));
  });
  const firing = all.filter((a) => a.status === "firing" && !a.silence);
  const firingInAll = (alerts.data ?? []).filter((a) => a.status === "firing" && !a.silence).length; // as the menu counts
  const silenced = all.filter((a) => a.status !== "resolved" && a.silence);
  const pending = all.filter((a) => a.status === "pending" && !a.silence);
  const over = all.filter((a) => a.status === "resolved");
  const holding = (silences.data ?? []).filter((s) => Date.parse(s.endsAt) > silences.dataUpdatedAt);
  const silence = setSilencing;
  return (
    <main id="main" className={`page alerts-page ${(alerts.isError || kafka.down) && alerts.data ? "stale" : ""}`} aria-busy={alerts.isPending}>
      <div className="toolbar">
        <h1>Alerts</h1>
        <span className={firing.length > 0 ? "bad-text" : "muted"}>{alerts.data ? `${count(firing.length)}${words.length > 0 ? ` of ${count(firingInAll)}` : ""} firing` : ""}</span>
        <label className="filter">
          <span className="visually-hidden">Filter alerts</span>
          <input type="search" placeholder="Filter  /" value={filter} onChange={(e) => setFilter(e.target.value)} />
        </label>
      </div>
      {alerts.isError ? <StaleNote of={alerts} what="the console" /> : kafka.down && <StaleNote of={kafka.of} what="Kafka" />}
      {alerts.isPending && <Waiting what="the alerts" />}
      {alerts.data && (
        <>
          <Group id="firing" title="Firing" alerts={firing} silence={silence} empty="No alert is firing." />
          <Group id="pending" title="Pending" alerts={pending} silence={silence} empty="No alert is pending." />
          {silenced.length > 0 && <Group id="silenced" title="Silenced" alerts={silenced} silence={silence} empty="" />}
          <Silences list={holding} error={silences.error} />
          <Receivers />
          <Group id="resolved" title="Resolved" alerts={over.slice(0, 200)} empty="No alert ended in the last 30 days." />
        </>
      )}
      {silencing && (
        <SilenceDialog
          alert={silencing}
          onClose={() => {
            setSilencing(null);
            void client.invalidateQueries({ queryKey: alertsKey });
            void client.invalidateQueries({ queryKey: silencesKey });
          }}
        />
      )}
    </main>
  );
}

function Group({ id, title, alerts, silence, empty }: { id: string; title: string; alerts: Alert[]; silence?: (a: Alert) => void; empty: string }) {
  return (
    <section aria-labelledby={id}>
      <h2 id={id}>
        {title} <span className="muted num">{alerts.length || ""}</span>
      </h2>
      {alerts.length === 0 ? (
        <p className="muted">{empty}</p>
      ) : (
        <ul className="alert-list">
          {alerts.map((a) => (
            <One key={a.alertId} a={a} silence={silence} />
          ))}
        </ul>
      )}
    </section>
  );
}

function One({ a, silence }: { a: Alert; silence: ((a: Alert) => void) | undefined }) {
  const forbidden = useForbidden("operator");
  const labels = Object.entries(a.labels ?? {});
  const service = a.labels?.service;
  const instance = a.labels?.instance;
  return (
    <li className={`card alert-card ${a.status} ${a.severity} ${a.silence ? "quieted" : ""}`} data-alert={a.ruleId}>
      <div className="row-head">
        <span className="alert-name">
          {a.status === "resolved" ? <CheckIcon /> : a.severity === "info" ? <InfoIcon /> : <WarnIcon />}
          <b>{a.annotations?.summary || a.ruleId}</b>
          <span className={`tag ${a.status === "resolved" || a.silence ? "" : a.severity === "critical" ? "bad" : a.severity === "warning" ? "warn" : ""}`}>{a.severity}</span>
        </span>
        {silence && !a.silence && (
          <button type="button" disabled={forbidden !== ""} title={forbidden || undefined} onClick={() => silence(a)}>
            Silence …
          </button>
        )}
      </div>
      {a.annotations?.description && <p>{a.annotations.description}</p>}
      <p className="muted">
        rule <code>{a.ruleId}</code> · {a.value === undefined ? "" : `value ${quantity(a.value, a.unit)} against ${quantity(a.threshold, a.unit)} · `}
        {a.status === "resolved" ? (
          <>
            from <Time at={a.startsAt} /> to <Time at={a.endsAt ?? a.updatedAt} />
          </>
        ) : (
          <>
            since <Time at={a.startsAt} />
            {a.firedAt && a.status === "firing" && (
              <>
                , firing since <Time at={a.firedAt} />
              </>
            )}
          </>
        )}
      </p>
      {labels.length > 0 && (
        <p className="labels">
          {labels.map(([k, v]) => (
            <span key={k} className="label-chip">
              {k}=
              {k === "instance" && service && instance ? (
                <Link href={paths.instance(service, instance)}>{v}</Link>
              ) : k === "service" ? (
                <Link href={`/?at=${encodeURIComponent(v)}`}>{v}</Link>
              ) : k === "topic" ? (
                <Link href={paths.topic(v)}>{v}</Link>
              ) : (
                v
              )}
            </span>
          ))}
        </p>
      )}
      {a.silence && (
        <p className="muted">
          silenced by {a.silence.author || "unknown user"} until <Time at={a.silence.endsAt} />
          {a.silence.reason && `: ${a.silence.reason}`}
        </p>
      )}
    </li>
  );
}

function Silences({ list, error }: { list: Silence[]; error: Error | null }) {
  const client = useQueryClient();
  const forbidden = useForbidden("operator");
  const end = useMutation({
    mutationFn: (id: string) => remove(`/silences/${seg(id)}`),
    onSettled: async () => {
      await client.invalidateQueries({ queryKey: silencesKey });
      await client.invalidateQueries({ queryKey: alertsKey });
    },
  });
  return (
    <section aria-labelledby="silences">
      <h2 id="silences">
        Silences <span className="muted num">{list.length || ""}</span>
      </h2>
      {error && <Failure error={error} />}
      {end.isError && <Failure error={end.error} />}
      {list.length === 0 && !error ? (
        <p className="muted">None. Silenced alerts stay visible; a silence ends automatically.</p>
      ) : (
        <ul className="alert-list">
          {list.map((s) => (
            <li key={s.id} className="card row-head" data-silence={s.id}>
              <span>
                <b>{[s.ruleId, ...Object.entries(s.labels ?? {}).map(([k, v]) => `${k}=${v}`)].filter(Boolean).join(" ")}</b>{" "}
                <span className="muted">
                  until <Time at={s.endsAt} />, by {s.author || "unknown user"} at <Time at={s.since} />
                  {s.reason && `: ${s.reason}`}
                </span>
              </span>
              <button type="button" disabled={end.isPending || forbidden !== ""} title={forbidden || undefined} onClick={() => end.mutate(s.id)}>
                End
              </button>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
