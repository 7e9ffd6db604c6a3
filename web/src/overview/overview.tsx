import { useMemo, useState } from "react";
import type { Instance, Overview, Service } from "../api/client";
import { useLive, useOverview } from "../live/overview";
import { useKeys } from "../ui/keys";
import { navigate, type Params, paths } from "../ui/route";
import { Panel } from "./panel";
import { ServiceBlock } from "./service";
import { Strip } from "./strip";

interface Props {
  selected: { service: string; id: string } | undefined;
}

/** Every service and instance, each second. */
export function OverviewView({ params }: { params: Params }) {
  const selected = params.service !== undefined && params.instance !== undefined ? { service: params.service, id: params.instance } : undefined;
  const overview = useOverview();
  const { connection } = useLive();
  const [filter, setFilter] = useState("");
  const keys = useMemo(
    () => ({
      Escape: () => {
        if (document.activeElement instanceof HTMLInputElement) document.activeElement.blur();
        else navigate(paths.overview);
      },
    }),
    [],
  );
  useKeys(keys);
  return (
    <div className={`overview ${selected ? "with-panel" : ""}`}>
      <main id="main" className={connection === "lost" ? "stale" : ""} aria-busy={!overview}>
        <h1 className="visually-hidden">Overview</h1>
        <div className="toolbar">
          <Strip overview={overview} />
          <label className="filter">
            <span className="visually-hidden">Filter services and instances</span>
            <input type="search" placeholder="Filter  /" value={filter} onChange={(e) => setFilter(e.target.value)} />
          </label>
        </div>
        {overview ? <Services o={overview} filter={filter} selected={selected} /> : <Skeleton />}
      </main>
      {selected && <Panel key={`${selected.service}/${selected.id}`} service={selected.service} id={selected.id} overview={overview} />}
    </div>
  );
}

/** Instances of a service that the words name: by service, id, address, state, tag; all words must match. */
export function matching(s: Service, filter: string): Instance[] {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return s.instances;
  return s.instances.filter((i) => {
    const text = [s.id, i.id, i.address, i.state, ...Object.entries(i.tags ?? {}).map(([k, v]) => `${k}=${v}`)].join(" ").toLowerCase();
    return words.every((w) => text.includes(w));
  });
}

function Services({ o, filter, selected }: { o: Overview; filter: string } & Props) {
  if (o.services.length === 0) {
    return (
      <div className="empty">
        <h2>No service is configured</h2>
        <p>
          Apply a configuration: <code>smartlb config apply FILE</code>. A commented whole is printed by <code>smartlb config example</code>.
        </p>
      </div>
    );
  }
  const blocks = o.services.map((s) => [s, matching(s, filter)] as const).filter(([s, rows]) => rows.length > 0 || (!filter && s.instances.length === 0));
  if (blocks.length === 0) {
    return (
      <div className="empty">
        <h2>Nothing matches “{filter}”</h2>
        <p>The filter looks at services, instances, addresses, states and tags.</p>
      </div>
    );
  }
  return blocks.map(([s, rows]) => <ServiceBlock key={s.id} s={s} rows={rows} selected={selected?.service === s.id ? selected.id : undefined} />);
}

/** What has the height of three services, until the first overview is there. */
function Skeleton() {
  return (
    <div className="skeleton" role="status">
      <span className="visually-hidden">Loading</span>
      {[4, 4, 3].map((rows, n) => (
        <div key={n} className="service">
          <div className="bone wide" />
          {Array.from({ length: rows }, (_, r) => (
            <div key={r} className="bone row" />
          ))}
        </div>
      ))}
    </div>
  );
}
