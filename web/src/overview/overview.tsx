import { useMemo } from "react";
import { useLive, useOverview } from "../live/overview";
import type { LiveOverview } from "../live/feed";
import { useKeys } from "../ui/keys";
import { navigate, type Params, paths, setParams, useParam } from "../ui/route";
import { orders, troubled, type View } from "./lines";
import { List } from "./list";
import { Panel } from "./panel";
import { Strip } from "./strip";

const many = 12; // services from which a list to jump to a service is shown

/** Every service and instance, once per second. The address contains filter, order and folded services. */
export function OverviewView({ params }: { params: Params }) {
  const selected = params.service !== undefined && params.instance !== undefined ? { service: params.service, id: params.instance } : undefined;
  const overview = useOverview();
  const { connection } = useLive();
  const [filter, setFilter] = useParam("q");
  const [trouble, setTrouble] = useParam("trouble");
  const [order, setOrder] = useParam("order");
  const [closed] = useParam("closed");
  const [jump, setJump] = useParam("at");
  const view = useMemo<View>(() => ({ filter, trouble: trouble !== "", order, closed: folded(closed) }), [filter, trouble, order, closed]);
  useKeys({
    Escape: () => {
      if (document.activeElement instanceof HTMLInputElement) document.activeElement.blur();
      else navigate(paths.overview + location.search);
    },
  });
  const all = overview?.services.map((s) => s.id) ?? [];
  const toggle = (service: string) => setParams({ closed: refold(closed, service, all) });
  return (
    <div className={`overview ${selected ? "with-panel" : ""}`}>
      <main id="main" className={connection === "lost" ? "stale" : ""} aria-busy={!overview}>
        <h1 className="visually-hidden">Overview</h1>
        <div className="toolbar">
          <Strip overview={overview} />
          {all.length >= many && (
            <>
              <select className="jump" aria-label="Go to a service" value={all.includes(jump) ? jump : ""} onChange={(e) => setJump(e.target.value)}>
                <option value="">Go to …</option>
                {all.map((id) => (
                  <option key={id}>{id}</option>
                ))}
              </select>
              <button type="button" onClick={() => setParams({ closed: closed === "*" ? undefined : "*" })}>
                {closed === "*" ? "Open all" : "Fold all"}
              </button>
            </>
          )}
          <TroubleSwitch overview={overview} on={trouble !== ""} set={(on) => setTrouble(on ? "1" : "")} />
          <select className="order" aria-label="Order of the instances" value={orders[order] ? order : ""} onChange={(e) => setOrder(e.target.value)}>
            <option value="">as configured</option>
            {Object.entries(orders).map(([key, { name }]) => (
              <option key={key} value={key}>
                {name}
              </option>
            ))}
          </select>
          <label className="filter">
            <span className="visually-hidden">Filter services and instances</span>
            <input type="search" placeholder="Filter  /" value={filter} onChange={(e) => setFilter(e.target.value)} />
          </label>
        </div>
        {overview ? <Services o={overview} view={view} toggle={toggle} selected={selected} jump={all.includes(jump) ? jump : ""} /> : <Skeleton />}
      </main>
      {selected && <Panel key={`${selected.service}/${selected.id}`} service={selected.service} id={selected.id} overview={overview} />}
    </div>
  );
}

/** Which services are folded: "a,b", or "*" for all, or "*,a" for all but a. */
export function folded(closed: string): (service: string) => boolean {
  const names = new Set(closed.split(",").filter(Boolean).map(decodeURIComponent));
  return names.has("*") ? (s) => !names.has(s) : (s) => names.has(s);
}

/** The folds after one service was folded or opened. */
export function refold(closed: string, service: string, all: string[]): string {
  const parts = closed.split(",").filter(Boolean);
  const name = encodeURIComponent(service);
  const next = parts.includes(name) ? parts.filter((p) => p !== name) : [...parts, name];
  const named = next.filter((p) => p !== "*");
  if (named.length < all.length) return next.join(",");
  return next.includes("*") ? "" : "*"; // all of them are named
}

function TroubleSwitch({ overview, on, set }: { overview: LiveOverview | undefined; on: boolean; set: (on: boolean) => void }) {
  let n = 0;
  for (const s of overview?.services ?? []) for (const i of s.instances) if (troubled(i)) n++;
  return (
    <button type="button" className={`trouble ${n > 0 ? "bad-text" : ""}`} aria-pressed={on} onClick={() => set(!on)} title="Only instances that are out of rotation or failing, have an active alert, or fail more than 1 % of requests; silenced and draining instances are left out">
      Problems <span className="num">{n}</span>
    </button>
  );
}

interface Props {
  o: LiveOverview;
  view: View;
  toggle: (service: string) => void;
  selected: { service: string; id: string } | undefined;
  jump: string;
}

function Services(p: Props) {
  const { o, view } = p;
  if (o.services.length === 0) {
    return (
      <div className="empty">
        <h2>No service is configured</h2>
        <p>
          Apply a configuration: <code>smartlb config apply FILE</code>. A commented example is printed by <code>smartlb config example</code>.
        </p>
      </div>
    );
  }
  const words = view.filter.toLowerCase().split(/\s+/).filter(Boolean);
  const any = o.services.some((s) => s.instances.some((i) => words.every((w) => i.text.includes(w) || i.state.includes(w)) && (!view.trouble || troubled(i))));
  if (!any && (words.length > 0 || view.trouble)) {
    return (
      <div className="empty">
        <h2>{words.length > 0 ? `Nothing matches “${view.filter}”` : "No instance has a problem"}</h2>
        <p>
          {words.length > 0 && <>The filter looks at services, instances, addresses, states and tags{view.trouble && ", among those with problems"}. </>}
          <button type="button" onClick={() => setParams({ q: undefined, trouble: undefined })}>
            Show all
          </button>
        </p>
      </div>
    );
  }
  return <List {...p} />;
}

/** A placeholder as high as three services, until the first overview arrives. */
function Skeleton() {
  return (
    <div className="skeleton" role="status">
      <span className="visually-hidden">Loading</span>
      {[4, 4, 3].map((rows, n) => (
        <div key={n} className="service-bones">
          <div className="bone wide" />
          {Array.from({ length: rows }, (_, r) => (
            <div key={r} className="bone row" />
          ))}
        </div>
      ))}
    </div>
  );
}
