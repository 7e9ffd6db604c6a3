import { useQuery } from "@tanstack/react-query";
import { type Configuration, get } from "../api/client";
import { Link } from "../ui/link";
import { address, type Params } from "../ui/route";
import { Failure, Waiting } from "../ui/states";
import { Current } from "./current";
import { Edit } from "./edit";
import { History } from "./history";

const tabs = [
  ["", "Current"],
  ["history", "History"],
  ["edit", "Edit"],
] as const;

export const configKey = ["config"];

export function useConfiguration() {
  return useQuery({ queryKey: configKey, queryFn: ({ signal }) => get<Configuration>("/config", signal), refetchInterval: 3_000 });
}

/** The configuration: what is current, what was, and how to change it. */
export function ConfigurationView({ params }: { params: Params }) {
  const tab = params.tab ?? "";
  const config = useConfiguration();
  return (
    <main id="main" className={`page configuration ${config.isError && config.data ? "stale" : ""}`} aria-busy={config.isPending}>
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
      {config.isError && <Failure error={config.error} again={() => void config.refetch()} />}
      {!config.data && !config.isError && <Waiting what="the log of configuration" />}
      {config.data && tab === "" && <Current c={config.data} />}
      {config.data && tab === "history" && <History current={config.data.revision} />}
      {config.data && tab === "edit" && <Edit c={config.data} />}
      {!tabs.some(([key]) => key === tab) && <p className="empty">There is no such tab.</p>}
    </main>
  );
}
