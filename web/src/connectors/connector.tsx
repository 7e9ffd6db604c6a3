import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { type Connector, type Connectors, get, hasCode, post, remove, seg } from "../api/client";
import type { components } from "../api/schema";
import { Confirm } from "../ui/confirm";
import { Copy } from "../ui/copy";
import { dash } from "../ui/format";
import { Link } from "../ui/link";
import { navigate, paths } from "../ui/route";
import { useForbidden } from "../ui/session";
import { Heads } from "../ui/sheet";
import { Empty, Failure, StaleNote, Waiting } from "../ui/states";
import { Editor } from "./editor";
import { causeOf, State, tasksSaid } from "./state";

type Offset = components["schemas"]["ConnectorOffset"];
type Action = "restart" | "restart-failed" | "pause" | "resume" | "stop";

const settling = 1_000; // ms between two queries after an action
const resting = 4_000;

/** One connector: its state, the errors of its tasks, its settings and offsets. */
export function ConnectorPage({ name }: { name: string }) {
  const [until, setUntil] = useState(0);
  const path = `/connect/connectors/${seg(name)}`;
  const one = useQuery({
    queryKey: ["connector", name],
    queryFn: ({ signal }) => get<Connector>(path, signal),
    refetchInterval: () => (Date.now() < until ? settling : resting),
    retry: false,
  });
  const gone = hasCode(one.error, "not-found");
  const c = one.data;
  if (gone || (one.isError && !c)) {
    return (
      <main id="main" className="page connectors">
        <Empty title={one.error?.message ?? ""}>
          <p>
            <Link href="/connectors">All connectors</Link>
          </p>
        </Empty>
      </main>
    );
  }
  return (
    <main id="main" className="page connectors" aria-label={`Connector ${name}`}>
      <header className="topic-head">
        <p className="crumb">
          <Link href="/connectors">Connect</Link>
        </p>
        <h1>{name}</h1>
        <p className="about">{c ? `${c.type || "connector"} · ${c.class}` : "\u00a0"}</p>
        <StaleNote of={one} what="this connector" />
      </header>
      {!c && <Waiting what="the connector" />}
      {c && (
        <div className={one.isError ? "stale" : ""}>
          <Actions c={c} path={path} onDone={() => setUntil(Date.now() + 20_000)} />
          <Tasks c={c} />
          <Settings c={c} />
          <Topics c={c} />
          <Offsets path={path} />
        </div>
      )}
    </main>
  );
}

function Actions({ c, path, onDone }: { c: Connector; path: string; onDone: () => void }) {
  const client = useQueryClient();
  const operator = useForbidden("operator");
  const admin = useForbidden("admin");
  const [busy, setBusy] = useState("");
  const [said, setSaid] = useState("");
  const [error, setError] = useState<unknown>(null);
  const [dialog, setDialog] = useState<"edit" | "delete" | null>(null);
  const run = (action: Action, words: string) => () => {
    setBusy(action);
    setError(null);
    setSaid("");
    post(`${path}/actions`, { action })
      .then(
        () => {
          setSaid(`${words}: the worker accepted it`);
          onDone();
        },
        (e: unknown) => setError(e),
      )
      .finally(() => {
        setBusy("");
        void client.invalidateQueries({ queryKey: ["connector", c.name] });
      });
  };
  const failed = c.state === "FAILED" || c.tasks.some((t) => t.state === "FAILED");
  const button = (action: Action, title: string, words: string, primary = false) => (
    <button type="button" className={primary ? "primary" : ""} disabled={busy !== "" || operator !== ""} title={operator || undefined} onClick={run(action, words)}>
      {busy === action ? `${title} …` : title}
    </button>
  );
  return (
    <section aria-label="State" className="connector-state">
      <p className="big">
        <State state={c.state} failed={failed} /> <span className={failed ? "bad-text" : "muted"}>
          {c.tasks.length > 0 ? "· tasks: " : "· "}
          {tasksSaid(c.tasks)}
        </span>
      </p>
      {(c.missingTopics ?? []).map((t) => (
        <p key={t} className="warn-text">
          Topic {t} does not exist: no record moves. <Link href="/topics">Create the topic</Link> or correct its name in the settings.
        </p>
      ))}
      <div className="actions">
        {failed && button("restart-failed", "Restart failed tasks", "Restarting failed tasks", true)}
        {button("restart", "Restart all", "Restarting connector and tasks")}
        {c.state === "PAUSED" || c.state === "STOPPED" ? button("resume", "Resume", "Resuming") : button("pause", "Pause", "Pausing")}
        {c.state !== "STOPPED" && button("stop", "Stop", "Stopping")}
        <button type="button" disabled={admin !== ""} title={admin || undefined} onClick={() => setDialog("edit")}>
          Edit …
        </button>
        <button type="button" className="danger" disabled={admin !== ""} title={admin || undefined} onClick={() => setDialog("delete")}>
          Delete …
        </button>
      </div>
      <p role="status" className="muted outcome">
        {said}
      </p>
      {error !== null && <Failure error={error} />}
      {c.trace && <Trace trace={c.trace} what="the connector" />}
      {dialog === "edit" && <Editor of={c} onClose={() => setDialog(null)} onDone={onDone} />}
      {dialog === "delete" && (
        <Confirm
          title={`Delete ${c.name}`}
          verb="Delete"
          name={c.name}
          onClose={() => setDialog(null)}
          run={async () => {
            await remove(path);
            client.setQueryData<Connectors>(["connect"], (w) => w && { ...w, connectors: w.connectors.filter((x) => x.name !== c.name) }); // the list would show it until the next poll
            navigate("/connectors");
          }}
        >
          <p>Its tasks end and its settings are deleted. Its topics and its offsets are kept.</p>
        </Confirm>
      )}
    </section>
  );
}

function Tasks({ c }: { c: Connector }) {
  return (
    <section aria-labelledby="tasks-h">
      <h2 id="tasks-h">Tasks</h2>
      {c.tasks.length === 0 ? (
        <p className="muted">{c.state === "STOPPED" ? "None: the connector is stopped." : "None yet: the worker assigns them in a moment."}</p>
      ) : (
        <ul className="tasks">
          {c.tasks.map((t) => (
            <li key={t.id} className="card">
              <p>
                <b>Task {t.id}</b> <State state={t.state} /> <span className="muted">{t.worker_id || dash}</span>
              </p>
              {t.trace && <Trace trace={t.trace} what={`task ${t.id}`} />}
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

/** The cause of a failure in one line, and the whole trace, folded. */
function Trace({ trace, what }: { trace: string; what: string }) {
  return (
    <div className="trace">
      <p className="bad-text">{causeOf(trace)}</p>
      <details>
        <summary>Trace of {what}</summary>
        <Copy text={trace}>Copy</Copy>
        <pre tabIndex={0}>{trace}</pre>
      </details>
    </div>
  );
}

function Settings({ c }: { c: Connector }) {
  const names = Object.keys(c.config ?? {}).sort();
  return (
    <section aria-labelledby="settings-h">
      <h2 id="settings-h">Settings</h2>
      <dl className="pairs settings-list">
        {names.map((n) => (
          <div key={n}>
            <dt>{n}</dt>
            <dd>{c.config?.[n] === "********" ? <span className="muted">a secret, not shown</span> : <code>{c.config?.[n]}</code>}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function Topics({ c }: { c: Connector }) {
  if (!c.topics?.length) return null;
  return (
    <section aria-labelledby="topics-h">
      <h2 id="topics-h">Topics used</h2>
      <p>
        {c.topics.map((t) => (
          <span key={t}>
            <Link href={paths.topic(t)}>{t}</Link>{" "}
          </span>
        ))}
      </p>
    </section>
  );
}

function Offsets({ path }: { path: string }) {
  const all = useQuery({ queryKey: ["connector-offsets", path], queryFn: ({ signal }) => get<Offset[]>(`${path}/offsets`, signal), refetchInterval: 10_000, retry: false });
  return (
    <section aria-labelledby="offsets-h">
      <h2 id="offsets-h">Position</h2>
      {all.isError && <Failure error={all.error} />}
      {all.data?.length === 0 && <p className="muted">The connector has not read any record yet.</p>}
      {all.data && all.data.length > 0 && (
        <table className="plain">
          <Heads of={["Partition", "Offset"]} />
          <tbody>
            {all.data.map((o) => (
              <tr key={JSON.stringify(o.partition)}>
                <th scope="row">
                  <code>{JSON.stringify(o.partition)}</code>
                </th>
                <td>
                  <code>{JSON.stringify(o.offset)}</code>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}
