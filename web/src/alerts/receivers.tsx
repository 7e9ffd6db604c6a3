import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type AlertReceivers, get, type Node, post, seg } from "../api/client";
import { count } from "../ui/format";
import { useForbidden } from "../ui/session";
import { Failure } from "../ui/states";
import { Time } from "../ui/time";

const key = ["receivers"];

type Receiver = AlertReceivers["receivers"][number];

/** The receivers of alerts outside of smartlb: what the latest message became, and a button that sends a test message. */
export function Receivers() {
  const node = useQuery({ queryKey: ["node"], queryFn: ({ signal }) => get<Node>("/node", signal), staleTime: Infinity }).data;
  const here = node?.roles.includes("analyzer") ?? false;
  const receivers = useQuery({ queryKey: key, queryFn: ({ signal }) => get<AlertReceivers>("/alerts/receivers", signal), refetchInterval: 5_000, enabled: here });
  const r = receivers.data;
  return (
    <section aria-labelledby="receivers">
      <h2 id="receivers">
        Receivers <span className="muted num">{r?.receivers.length || ""}</span>
      </h2>
      {node && !here && <p className="muted">Node {node.node} does not have the role analyzer, which sends alerts. For the receivers: smartlb alerts receivers --admin ADDRESS, with the address of a node that has it.</p>}
      {receivers.isError && <Failure error={receivers.error} />}
      {r && r.receivers.length === 0 && (
        <p className="muted">
          The configuration of node {r.node} has no receivers: alerts stay in smartlb. The key is <code>alerting.receivers</code>.
        </p>
      )}
      {r && r.receivers.length > 0 && (
        <>
          <p className="muted">
            {r.sends ? `Node ${r.node} sends alerts.` : `Node ${r.node} does not send alerts. The sender is ${r.sender || "unknown"}: its console shows the state of the receivers.`}
          </p>
          <ul className="alert-list">
            {r.receivers.map((one) => (
              <One key={one.name} r={one} />
            ))}
          </ul>
        </>
      )}
    </section>
  );
}

function One({ r }: { r: Receiver }) {
  const client = useQueryClient();
  const forbidden = useForbidden("operator");
  const test = useMutation({
    mutationFn: () => post<{ result: string }>(`/alerts/receivers/${seg(r.name)}/test`, {}),
    onSettled: () => client.invalidateQueries({ queryKey: key }),
  });
  return (
    <li className="card alert-card" data-receiver={r.name}>
      <div className="row-head">
        <span className="alert-name">
          <b>{r.name}</b> <span className="muted">{r.type}</span> <span className={`tag ${r.state === "failing" ? "bad" : ""}`}>{r.state}</span>
        </span>
        <button type="button" disabled={test.isPending || forbidden !== ""} title={forbidden || undefined} aria-label={`Send test message to ${r.name}`} onClick={() => test.mutate()}>
          Send test message
        </button>
      </div>
      <p className="muted">
        {r.target} · {count(r.delivered)} delivered, {count(r.failed)} failed
        {r.lastDelivered && (
          <>
            {" "}
            · latest delivery <Time at={r.lastDelivered} />
          </>
        )}
      </p>
      {r.state === "failing" && (
        <p className="bad-text">
          {r.failingSince && (
            <>
              failing since <Time at={r.failingSince} />:{" "}
            </>
          )}
          {r.error}
        </p>
      )}
      <div aria-live="polite">
        {test.isPending && <p className="muted">Sending …</p>}
        {test.isSuccess && <p className="ok-text">{test.data.result}</p>}
        {test.isError && <Failure error={test.error} />}
      </div>
    </li>
  );
}
