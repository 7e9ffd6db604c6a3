import { type ReactNode, useMemo, useState } from "react";
import type { Node } from "../api/client";
import { useLive, useOverview } from "../live/overview";
import { Dialog } from "./dialog";
import { count } from "./format";
import { LinkIcon, LostIcon, ThemeIcon, WarnIcon } from "./icons";
import { focusFilter, useKeys } from "./keys";
import { Link } from "./link";
import { navigate, paths, type Place } from "./route";
import { useTheme } from "./theme";

/** The header with who answers and how it stands, the page's keys, and the view. */
export function Shell({ place, children }: { place: Place; children: ReactNode }) {
  const [help, setHelp] = useState(false);
  const node = useOverview()?.node;
  const keys = useMemo(
    () => ({
      "/": focusFilter,
      "?": () => setHelp(true),
      "g o": () => navigate(paths.overview),
      "g t": () => navigate(paths.topics),
    }),
    [],
  );
  useKeys(keys);
  return (
    <>
      <a className="skip" href="#main">
        Skip to the content
      </a>
      <header className="bar">
        <Link className="brand" href={paths.overview}>
          smartlb
        </Link>
        <nav aria-label="Views">
          <Link href={paths.overview} aria-current={place.view === "overview" ? "page" : undefined}>
            Overview
          </Link>
          <Link href={paths.topics} aria-current={place.view === "topics" ? "page" : undefined}>
            Topics
          </Link>
        </nav>
        <NodeFacts node={node} />
        <div className="bar-end">
          <ThemeSwitch />
          <button type="button" className="quiet" aria-label="Keyboard help" title="Keyboard help (?)" onClick={() => setHelp(true)}>
            ?
          </button>
        </div>
      </header>
      {children}
      {help && <Help onClose={() => setHelp(false)} />}
    </>
  );
}

function NodeFacts({ node }: { node: Node | undefined }) {
  const { connection } = useLive();
  const [losses, setLosses] = useState(false);
  const lost = node ? Object.entries(node.drops).filter(([, n]) => n > 0) : [];
  return (
    <div className="node" role="group" aria-label="Node">
      {node && (
        <>
          <span className="fact node-name" title={`${node.roles.join(", ")} · version ${node.version}`}>
            <span className="label">node</span> {node.node}
          </span>
          <span className="fact node-rev" title={`configuration ${node.config.state}`}>
            <span className="label">revision</span> {node.config.revision || "none"}
            {node.config.state !== "applied" && <span className="tag warn">{node.config.state}</span>}
          </span>
          <KafkaFact node={node} />
          {lost.length > 0 && (
            <button type="button" className="fact bad lost" onClick={() => setLosses(true)} title="Everything that was lost is counted here">
              <WarnIcon /> {count(lost.reduce((sum, [, n]) => sum + n, 0))} lost
            </button>
          )}
        </>
      )}
      <span className={`fact connection ${connection}`} role="status">
        {connection === "live" && (
          <>
            <span className="pulse" aria-hidden="true" /> live
          </>
        )}
        {connection === "connecting" && "connecting"}
        {connection === "lost" && (
          <>
            <LostIcon /> connection lost
          </>
        )}
      </span>
      {losses && (
        <Dialog title="Lost since the node started" onClose={() => setLosses(false)}>
          <p>Telemetry never holds up a request: what does not fit is dropped and counted.</p>
          <table className="plain">
            <thead>
              <tr>
                <th scope="col">What</th>
                <th scope="col" className="num">
                  Count
                </th>
              </tr>
            </thead>
            <tbody>
              {lost.map(([name, n]) => (
                <tr key={name}>
                  <td>{name}</td>
                  <td className="num">{count(n)}</td>
                </tr>
              ))}
            </tbody>
          </table>
          <div className="actions">
            <button type="button" onClick={() => setLosses(false)}>
              Close
            </button>
          </div>
        </Dialog>
      )}
    </div>
  );
}

function KafkaFact({ node }: { node: Node }) {
  const k = node.kafka;
  const where = k.brokers.join(", ");
  if (!k.enabled) return <span className="fact node-kafka">Kafka off</span>;
  return k.connected ? (
    <span className="fact node-kafka" title={where}>
      <LinkIcon /> Kafka <span className="ok-text">connected</span>
    </span>
  ) : (
    <span className="fact node-kafka bad" title={where}>
      <LostIcon /> Kafka lost
    </span>
  );
}

function ThemeSwitch() {
  const [theme, next] = useTheme();
  return (
    <button type="button" className="quiet theme" onClick={next} aria-label={`Theme: ${theme}`} title={`Theme: ${theme}`}>
      <ThemeIcon /> <span aria-hidden="true">{theme}</span>
    </button>
  );
}

const helpRows: [string[], string][] = [
  [["g", "o"], "Overview"],
  [["g", "t"], "Topics"],
  [["/"], "Filter"],
  [["p"], "Pause or resume the live tail"],
  [["Esc"], "Close the panel or the dialog"],
  [["?"], "This help"],
];

function Help({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Keyboard" onClose={onClose}>
      <dl className="keys">
        {helpRows.map(([keys, what]) => (
          <div key={what}>
            <dt>
              {keys.map((k) => (
                <kbd key={k}>{k}</kbd>
              ))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <div className="actions">
        <button type="button" onClick={onClose}>
          Close
        </button>
      </div>
    </Dialog>
  );
}
