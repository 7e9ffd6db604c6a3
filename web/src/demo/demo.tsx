import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { type DemoState, get, hasCode, post, seg } from "../api/client";
import { shareOf } from "../live/feed";
import { useOverview } from "../live/overview";
import { duration, percent, rate } from "../ui/format";
import { BreakIcon } from "../ui/icons";
import { Link } from "../ui/link";
import { paths } from "../ui/route";
import { saidOf, useForbidden } from "../ui/session";
import { Empty, Failure, Waiting } from "../ui/states";

const demoKey = ["demo"];
const scales = [0, 0.5, 1, 2, 5, 10, 20];

/** The actions on the demo, and what to watch after each. */
export function DemoView() {
  const demo = useQuery({ queryKey: demoKey, queryFn: ({ signal }) => get<DemoState>("/demo", signal), refetchInterval: 2_000 });
  const none = hasCode(demo.error, "not-served", "not-found"); // a proxy of an older version sends no code: every 404 is then not-found
  return (
    <main id="main" className={`page demo ${demo.isError && demo.data ? "stale" : ""}`} aria-busy={demo.isPending}>
      <div className="toolbar">
        <h1>Demo</h1>
      </div>
      {none ? (
        <Empty title="This node runs no demo">
          <p>
            Three services with eleven instances and a load, to break and to watch: <code>smartlb up --demo</code>
          </p>
        </Empty>
      ) : (
        demo.isError && <Failure error={demo.error} again={() => void demo.refetch()} />
      )}
      {demo.isPending && <Waiting what="the demo" />}
      {demo.data && <Controls d={demo.data} />}
    </main>
  );
}

function Controls({ d }: { d: DemoState }) {
  const client = useQueryClient();
  const forbidden = useForbidden("operator");
  const change = useMutation({
    mutationFn: ({ path, body }: { path: string; body: unknown }) => post(path, body),
    onSettled: () => client.invalidateQueries({ queryKey: demoKey }),
  });
  const busy = forbidden !== "" || change.isPending;
  const ids = d.services.flatMap((s) => s.instances.map((i) => i.id));
  const [instance, setInstance] = useState("user-service-3");
  const [preset, setPreset] = useState(0);
  const chosen = ids.includes(instance) ? instance : (ids[0] ?? "");
  const p = d.presets[preset];
  const fault = (id: string, body: unknown) => change.mutate({ path: `/demo/instances/${seg(id)}/fault`, body });
  const broken = d.services.flatMap((s) => s.instances.filter((i) => i.fault).map((i) => ({ service: s.id, ...i })));
  return (
    <>
      <p className="outcome" role="status">
        <span className={change.isError ? "bad-text" : "muted"}>{change.isError ? change.error.message : (change.data?.result ?? saidOf(forbidden))}</span>
      </p>
      <section className="card" aria-labelledby="break">
        <h2 id="break">Break an instance</h2>
        <div className="break-form">
          <label>
            Instance
            <select value={chosen} onChange={(e) => setInstance(e.target.value)}>
              {d.services.map((s) => (
                <optgroup key={s.id} label={s.id}>
                  {s.instances.map((i) => (
                    <option key={i.id}>{i.id}</option>
                  ))}
                </optgroup>
              ))}
            </select>
          </label>
          <div role="radiogroup" aria-label="How" className="presets">
            {d.presets.map((x, n) => (
              <label key={x.name} className={n === preset ? "chosen" : ""}>
                <input type="radio" name="preset" checked={n === preset} onChange={() => setPreset(n)} /> <b>{x.name}</b> <span className="muted">{x.about}</span>
              </label>
            ))}
          </div>
        </div>
        {p && (
          <p>
            <b>What you should see:</b> {p.see}
          </p>
        )}
        <div className="actions">
          <button type="button" className="primary" disabled={busy || !p} onClick={() => p && fault(chosen, p.fault)}>
            Break {chosen}
          </button>
        </div>
        {broken.length > 0 && (
          <ul className="nodes">
            {broken.map((i) => (
              <li key={i.id} className="row-head" data-broken={i.id}>
                <span>
                  <BreakIcon /> <Link href={paths.instance(i.service, i.id)}>{i.id}</Link>{" "}
                  <span className="muted">
                    {[i.fault && i.fault.errorRate > 0 ? `fails ${percent(i.fault.errorRate)}` : "", i.fault?.latencyMs ? `takes ${duration(i.fault.latencyMs)}` : ""].filter(Boolean).join(", ")}
                  </span>{" "}
                  <Share service={i.service} id={i.id} />
                </span>
                <button type="button" disabled={busy} onClick={() => fault(i.id, { heal: true })}>
                  Heal
                </button>
              </li>
            ))}
          </ul>
        )}
      </section>
      <section className="card" aria-labelledby="load">
        <h2 id="load">
          Load <span className="muted num">{rate(d.load.rate)} requests/s</span>
        </h2>
        <div className="segments" role="group" aria-label="Factor of the light load of 20 requests per second">
          {scales.map((s) => (
            <button key={s} type="button" aria-pressed={s === d.load.scale} disabled={busy} onClick={() => change.mutate({ path: "/demo/load", body: { scale: s } })}>
              {s === 0 ? "none" : `×${s}`}
            </button>
          ))}
        </div>
        <p className="muted">With ×10 and a slow instance, the other instances have many requests in flight. The share of the slow instance grows again, because a wait at the others costs more.</p>
      </section>
      <section className="card" aria-labelledby="policies">
        <h2 id="policies">Policies</h2>
        <p className="muted">
          Each change is a revision of the <Link href="/configuration/history">configuration</Link>. Break an instance with “fast errors”, then pick least_request: the broken instance is always idle, so it gets nearly all requests
          until it is ejected, again and again. With adaptive it gets almost none.
        </p>
        <ul className="nodes">
          {d.services.map((s) => (
            <li key={s.id} className="row-head">
              <Link href={`/?at=${encodeURIComponent(s.id)}`}>{s.id}</Link>
              <select
                aria-label={`Policy of ${s.id}`}
                value={s.policy}
                disabled={busy}
                onChange={(e) => change.mutate({ path: `/demo/services/${seg(s.id)}/policy`, body: { policy: e.target.value } })}
              >
                {d.policies.map((name) => (
                  <option key={name}>{name}</option>
                ))}
              </select>
            </li>
          ))}
        </ul>
      </section>
      <section aria-labelledby="next">
        <h2 id="next">What to try next</h2>
        <ol className="next">
          <li>
            Break user-service-3 with fast errors and open <Link href={paths.instance("user-service", "user-service-3")}>its panel</Link>: the cost bars turn red within a second, and the share falls.
          </li>
          <li>
            Look at <Link href="/decisions?outcome=failed">the decisions that failed</Link>, and open one: which instances were compared, and what each would have cost.
          </li>
          <li>
            Wait half a minute: <Link href="/alerts">an alert</Link> goes from pending to firing. Silence it. Heal the instance, and it is resolved.
          </li>
          <li>
            Drain an instance in its panel, find it among the overrides of the <Link href="/configuration">configuration</Link>, and each of these changes in the <Link href="/audit">audit log</Link>.
          </li>
        </ol>
      </section>
    </>
  );
}

function Share({ service, id }: { service: string; id: string }) {
  const s = useOverview()?.services.find((x) => x.id === service);
  const i = s?.instances.find((x) => x.id === id);
  if (!s || !i) return null;
  return (
    <span>
      gets {percent(shareOf(s, i))} of the requests{i.state !== "in" && `, ${i.state}`}
    </span>
  );
}
