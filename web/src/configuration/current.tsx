import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type Configuration, post, seg } from "../api/client";
import { Copy } from "../ui/copy";
import { age } from "../ui/format";
import { CheckIcon, WarnIcon } from "../ui/icons";
import { Link } from "../ui/link";
import { paths } from "../ui/route";
import { useForbidden } from "../ui/session";
import { Empty } from "../ui/states";
import { configKey } from "./query";

/** The current configuration: the document, the overrides, and the state of each node. */
export function Current({ c }: { c: Configuration }) {
  return (
    <>
      <Nodes c={c} />
      <Overrides c={c} />
      <section aria-labelledby="document">
        <div className="row-head">
          <h2 id="document">Document</h2>
          {c.document && <Copy text={c.document}>Copy</Copy>}
        </div>
        {c.document ? (
          <pre className="document" tabIndex={0}>
            {c.document}
          </pre>
        ) : (
          <Empty title="No configuration was published yet">
            <p>
              Write one in <Link href="/configuration/edit">Edit</Link>, or: <code>smartlb config example &gt; smartlb.yaml</code>, then <code>smartlb config apply smartlb.yaml</code>
            </p>
          </Empty>
        )}
      </section>
    </>
  );
}

function Nodes({ c }: { c: Configuration }) {
  const lost = c.nodes.filter((n) => n.lostLog);
  return (
    <section aria-labelledby="nodes">
      <h2 id="nodes">Nodes</h2>
      {lost.length > 0 && (
        <div className="failure" role="alert">
          <p>
            {lost.map((n) => n.node).join(", ")} {lost.length === 1 ? "keeps its" : "keep their"} last good configuration, because config-updates is not the log that {lost.length === 1 ? "it" : "they"} followed: it was
            deleted, created again, lost its end, or is another cluster's.
          </p>
          <p className="muted">
            If the present log is right, publish a configuration with “adopt” in <Link href="/configuration/edit">Edit</Link>, or <code>smartlb config apply FILE --adopt</code>. If it is not, restore the old
            log: the nodes then continue automatically.
          </p>
        </div>
      )}
      {c.nodes.length === 0 ? (
        <p className="muted">No proxy has reported its status in the last 15 s.</p>
      ) : (
        <ul className="nodes">
          {c.nodes.map((n) => {
            const current = n.revision === c.revision;
            return (
              <li key={n.node} className="card">
                <b>{n.node}</b>{" "}
                {n.refusedRevision ? (
                  <span className="bad-text">
                    <WarnIcon /> refused {n.refusedRevision}, serves {n.revision || "nothing"}
                  </span>
                ) : current ? (
                  <span className="ok-text">
                    <CheckIcon /> applied {n.revision}
                    {n.state === "lkg" && " from its disk"}
                  </span>
                ) : (
                  <span className="warn-text">
                    <WarnIcon /> serves {n.revision || "nothing"}{n.lostLog ? ", its last good one" : ", behind"}
                  </span>
                )}{" "}
                <span className="muted">reported {age(n.ageMs)} ago</span>
                {n.errors.length > 0 && (
                  <ul className="bad-text">
                    {n.errors.map((e) => (
                      <li key={e}>{e}</li>
                    ))}
                  </ul>
                )}
              </li>
            );
          })}
        </ul>
      )}
    </section>
  );
}

function Overrides({ c }: { c: Configuration }) {
  const client = useQueryClient();
  const forbidden = useForbidden("operator");
  const undo = useMutation({
    mutationFn: (o: Configuration["overrides"][number]) =>
      post(`/services/${seg(o.serviceId)}/instances/${seg(o.instanceId)}/override`, o.action === "weight" ? { action: "weight", weight: 0 } : { action: "undrain" }),
    onSettled: () => client.invalidateQueries({ queryKey: configKey }),
  });
  return (
    <section aria-labelledby="overrides">
      <h2 id="overrides">Overrides</h2>
      {c.overrides.length === 0 ? (
        <p className="muted">
          None. A drain or a weight stays in effect when the revision changes: <code>smartlb drain INSTANCE</code>.
        </p>
      ) : (
        <ul className="nodes">
          {c.overrides.map((o) => (
            <li key={`${o.serviceId}/${o.instanceId}/${o.action}`} className="card row-head">
              <span>
                <b>{o.action === "weight" ? `weight ${o.weight}` : o.action}</b> <Link href={paths.instance(o.serviceId, o.instanceId)}>{o.instanceId}</Link> <span className="muted">of {o.serviceId}</span>
              </span>
              <button type="button" disabled={undo.isPending || forbidden !== ""} title={forbidden || undefined} onClick={() => undo.mutate(o)}>
                {o.action === "weight" ? "As configured" : "Undrain"}
              </button>
            </li>
          ))}
        </ul>
      )}
      {undo.isError && <p className="bad-text">{undo.error.message}</p>}
    </section>
  );
}
