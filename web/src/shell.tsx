import { type ReactNode, useState } from "react";
import { type Node, post } from "./api/client";
import { useLive, useOverview } from "./live/overview";
import { Dialog, Ending } from "./ui/dialog";
import { type Page, pages } from "./pages";
import { count, zone, zoneName } from "./ui/format";
import { LinkIcon, LostIcon, MenuIcon, ThemeIcon, WarnIcon } from "./ui/icons";
import { focusFilter, useKeys } from "./ui/keys";
import { Link } from "./ui/link";
import { navigate, paths, usePath } from "./ui/route";
import { useMe } from "./ui/session";
import { Heads, num } from "./ui/sheet";
import { useTheme } from "./ui/theme";

const groups = ["Balancer", "Kafka"] as const;
const home = (p: Page) => p.patterns[0] ?? paths.overview;

/** The header with the node and its state, the menu, the page's keys, and the view. */
export function Shell({ page, children }: { page: Page | undefined; children: ReactNode }) {
  const [help, setHelp] = useState(false);
  const [menuAt, setMenuAt] = useState(""); // the page whose menu is open, on narrow screens; another page closes it
  const overview = useOverview();
  const node = overview?.node;
  const path = usePath();
  const menu = menuAt === path;
  useKeys({
    "/": focusFilter,
    "?": () => setHelp(true),
    ...Object.fromEntries(pages.map((p) => [`g ${p.key}`, () => navigate(home(p))])),
  });
  return (
    <>
      <a className="skip" href="#main">
        Skip to the content
      </a>
      <header className="bar">
        <button type="button" className="quiet menu" aria-expanded={menu} aria-controls="side" onClick={() => setMenuAt(menu ? "" : path)}>
          <MenuIcon />
          <span className="visually-hidden">Menu</span>
        </button>
        <Link className="brand" href={paths.overview}>
          smartlb
        </Link>
        <NodeFacts node={node} />
        <div className="bar-end">
          <span className="fact zone" title={`Times are local: ${zoneName()}. Times before today have a date; each time shows UTC under the pointer.`}>
            <span className="visually-hidden">Time zone </span>
            {zone()}
          </span>
          <Session />
          <ThemeSwitch />
          <button type="button" className="quiet" aria-label="Keyboard help" title="Keyboard help (?)" onClick={() => setHelp(true)}>
            ?
          </button>
        </div>
      </header>
      <div className="frame">
        <nav id="side" className={`side ${menu ? "open" : ""}`} aria-label="Views">
          {groups.map((g) => (
            <div key={g} role="group" aria-labelledby={`side-${g}`}>
              <p id={`side-${g}`}>{g}</p>
              <ul>
                {pages
                  .filter((p) => p.group === g && (!p.shown || p === page || (overview !== undefined && p.shown(overview))))
                  .map((p) => (
                    <li key={p.name}>
                      <Link href={home(p)} aria-current={p === page ? "page" : undefined} title={`g ${p.key}`}>
                        {p.name}
                        {overview && p.badge && p.badge(overview) > 0 && (
                          <span className="badge" title={`${p.badge(overview)} firing`}>
                            {p.badge(overview)}
                            <span className="visually-hidden"> firing</span>
                          </span>
                        )}
                      </Link>
                    </li>
                  ))}
              </ul>
            </div>
          ))}
        </nav>
        <div className="view">{children}</div>
      </div>
      {help && <Help onClose={() => setHelp(false)} />}
    </>
  );
}

/** The user who is logged in, if any, and whether the console is read-only. */
function Session() {
  const me = useMe();
  if (!me) return null;
  return (
    <>
      {me.readOnly && <span className="tag warn">read-only</span>}
      {!me.local && (
        <button type="button" className="quiet session" title={`${me.user}, ${me.role}`} onClick={() => void post("/logout", {}).finally(() => location.reload())}>
          {me.user} <span className="muted">· log out</span>
        </button>
      )}
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
            <button type="button" className="fact bad lost" onClick={() => setLosses(true)} title="Number of dropped records, by queue">
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
        <Dialog title="Dropped since the node started" onClose={() => setLosses(false)}>
          <p>Telemetry never delays a request: records that do not fit a queue are dropped and counted.</p>
          <table className="plain">
            <Heads of={["What", num("Count")]} />
            <tbody>
              {lost.map(([name, n]) => (
                <tr key={name}>
                  <td>{name}</td>
                  <td className="num">{count(n)}</td>
                </tr>
              ))}
            </tbody>
          </table>
          <Ending onClose={() => setLosses(false)} word="Close" />
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
  ...pages.map((p): [string[], string] => [["g", p.key], p.name]),
  [["/"], "Filter"],
  [["p"], "Pause or resume the live tail"],
  [["j", "k"], "Next and previous message"],
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
      <Ending onClose={onClose} word="Close" />
    </Dialog>
  );
}
