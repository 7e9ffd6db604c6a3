import { Link } from "../ui/link";
import { address, type Params } from "../ui/route";
import { StaleNote, Waiting } from "../ui/states";
import { Current } from "./current";
import { Edit } from "./edit";
import { History } from "./history";
import { useConfiguration } from "./query";
import { RouteOfRequest } from "./route";

const tabs = [
  ["", "Current"],
  ["history", "History"],
  ["edit", "Edit"],
  ["route", "Route test"],
] as const;

/** The configuration: the current revision, the history, and the editor. */
export function ConfigurationView({ params }: { params: Params }) {
  const tab = params.tab ?? "";
  const config = useConfiguration();
  return (
    <main id="main" className="page configuration" aria-busy={config.isPending}>
      <div className="toolbar">
        <h1>Configuration</h1>
        {config.data && (
          <span className="muted">
            revision <b className="mono">{config.data.revision || "none"}</b>
          </span>
        )}
      </div>
      <nav className="tabs" aria-label="Configuration">
        {tabs.map(([key, name]) => (
          <Link key={key} href={address("/configuration/:tab", key ? { tab: key } : {})} aria-current={tab === key ? "page" : undefined}>
            {name}
          </Link>
        ))}
      </nav>
      <StaleNote of={config} what="the log of configuration" />
      {!config.data && !config.isError && <Waiting what="the log of configuration" />}
      {config.data && (
        <div className={config.isError ? "stale" : ""}>
          {tab === "" && <Current c={config.data} />}
          {tab === "history" && <History current={config.data.revision} />}
          {tab === "edit" && <Edit c={config.data} />}
          {tab === "route" && <RouteOfRequest />}
        </div>
      )}
      {!tabs.some(([key]) => key === tab) && <p className="empty">Tab not found.</p>}
    </main>
  );
}
