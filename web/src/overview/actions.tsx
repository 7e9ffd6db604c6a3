import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { type Instance, post, seg } from "../api/client";
import { useForbidden } from "../ui/session";
import { Dialog, Ending } from "../ui/dialog";

interface Props {
  i: Pick<Instance, "id" | "state" | "inFlight" | "demoFault">;
  service: string;
  demo: boolean;
  kafka: boolean;
}

interface Change {
  path: string;
  body: Record<string, unknown>;
}

/** Drain and undrain, and in the demo break and heal. */
export function Actions({ i, service, demo, kafka }: Props) {
  const client = useQueryClient();
  const [asking, setAsking] = useState(false);
  const change = useMutation({
    mutationFn: (c: Change) => post(c.path, c.body),
    onSettled: () => client.invalidateQueries({ queryKey: ["explain", service, i.id] }),
  });
  const [reason, setReason] = useState("");
  const override = (action: "drain" | "undrain", why = "") => change.mutate({ path: `/services/${seg(service)}/instances/${seg(i.id)}/override`, body: { action, ...(why && { reason: why }) } });
  const fault = (body: Record<string, unknown>) => change.mutate({ path: `/demo/instances/${seg(i.id)}/fault`, body });
  const forbidden = useForbidden("operator");
  const busy = change.isPending || forbidden !== "";
  return (
    <div className="actions" title={forbidden || undefined}>
      {kafka &&
        (i.state === "draining" ? (
          <button type="button" disabled={busy} onClick={() => override("undrain")}>
            Undrain
          </button>
        ) : (
          <button type="button" disabled={busy} onClick={() => setAsking(true)}>
            Drain…
          </button>
        ))}
      {demo &&
        (i.demoFault ? (
          <button type="button" disabled={busy} onClick={() => fault({ heal: true })}>
            Heal
          </button>
        ) : (
          <>
            <button type="button" disabled={busy} onClick={() => fault({ errorRate: 1, latencyMs: 1 })} title="Answers 500 in 1 ms: least-connections policies send most requests to it">
              Break: fast errors
            </button>
            <button type="button" disabled={busy} onClick={() => fault({ errorRate: 0, latencyMs: 500 })} title="Answers after 500 ms">
              Break: slow
            </button>
          </>
        ))}
      <p className={`outcome ${change.isError ? "bad-text" : "muted"}`} role="status">
        {change.isError ? change.error.message : (change.data?.result ?? "")}
      </p>
      {asking && (
        <Dialog title={`Drain ${i.id}?`} onClose={() => setAsking(false)}>
          <p>
            New requests go to the other instances of {service}. Requests in flight ({i.inFlight} now) continue to their end. The drain lasts until you undrain the instance, also across restarts.
          </p>
          <div className="form">
            <label htmlFor="drain-reason">Reason</label>
            <input id="drain-reason" type="text" maxLength={500} value={reason} placeholder="optional, for the history and the audit log" onChange={(e) => setReason(e.target.value)} />
          </div>
          <Ending onClose={() => setAsking(false)}>
            <button
              type="button"
              className="primary"
              onClick={() => {
                setAsking(false);
                override("drain", reason.trim());
                setReason("");
              }}
            >
              Drain
            </button>
          </Ending>
        </Dialog>
      )}
    </div>
  );
}
