import type { Decision } from "../api/client";
import { duration, factor } from "../ui/format";

type Candidate = NonNullable<Decision["candidates"]>[number];

/** Whether the attempt failed, by the same rule as the server's filter. */
export function failed(d: Decision): boolean {
  const o = d.outcome ?? {};
  return d.kind === "decision" && (!!o.failure || !o.status || o.status >= 500);
}

/** How an attempt ended, in a word or a number. */
export function outcome(d: Decision): string {
  if (d.kind === "change") return `${d.change?.from || "?"} → ${d.change?.to}`;
  const o = d.outcome ?? {};
  return [o.failure || o.status || "no answer", o.retried ? "retried" : ""].filter(Boolean).join(", ");
}

/** The largest factor of a candidate's cost. */
export function dearest(c: Candidate): string {
  const penalty = 1 + (10 * c.errorRate) / Math.max(0.02, 1 - c.errorRate) + 100 * c.errorRate ** 2;
  const parts: [string, number][] = [
    ["in flight", c.inFlight / Math.max(0.01, c.slowStart) + 1],
    ["latency", c.latencyFactor],
    ["errors", penalty],
    ["overdue responses", c.silence],
  ];
  const [name, v] = parts.reduce((a, b) => (b[1] > a[1] ? b : a));
  return v > 1.2 ? `${name} ×${factor(v)}` : "";
}

const chosenBy: Record<string, string> = {
  only: "it was the only available instance",
  turn: "it was its turn",
  random: "it was chosen at random",
  hash: "the hash of the request selects it",
  "other-zone": "no nearer instance could take the request",
  session: "the session of the client belongs to it",
  pinned: "the connection of the client belongs to it",
};

const recordedFor: Record<string, string> = {
  sample: "It was recorded because it is in the sample of all requests.",
  error: "It was recorded because it failed.",
  retry: "It was recorded because it was retried.",
  ejection: "It was recorded because an instance was ejected.",
  panic: "It was recorded because the service was in panic.",
};

/** The reason for the choice of the instance, and the outcome, in sentences. */
export function why(d: Decision): string[] {
  if (d.kind === "change") {
    const c = d.change;
    return [`${c?.instanceId === "*" ? d.serviceId : c?.instanceId} went from ${c?.from || "unknown"} to ${c?.to}${c?.reason ? `: ${c.reason}` : ""}.`];
  }
  const out: string[] = [];
  const list = [...(d.candidates ?? [])].sort((a, b) => a.cost - b.cost);
  const chosen = list.find((c) => c.instanceId === d.instanceId);
  const other = list.find((c) => c.instanceId !== d.instanceId);
  if (!d.instanceId) {
    out.push("No instance could be chosen: every instance was out of rotation or had already been tried.");
  } else if (chosen && other && chosen.cost <= other.cost) {
    const because = dearest(other);
    out.push(
      `${d.instanceId} was chosen because a request to it cost ${factor(chosen.cost)}, the lowest of ${list.length} compared instances; the next, ${other.instanceId}, cost ${factor(other.cost)}${because ? ` (${because})` : ""}.`,
    );
  } else if (d.instanceId) {
    out.push(`${d.instanceId} was chosen because ${chosenBy[d.reason ?? ""] ?? (d.reason || "the policy chose it")}.`);
  }
  const excluded = d.excluded ?? [];
  if (excluded.length > 0) {
    const shown = excluded.slice(0, 5).map((e) => `${e.instanceId} (${e.reason})`);
    out.push(`Not considered: ${shown.join(", ")}${excluded.length > 5 ? ` and ${excluded.length - 5} more` : ""}.`);
  }
  if (d.panic) out.push("The service was in panic: too few of its instances were healthy (panicThreshold), so all instances except draining ones were used.");
  const o = d.outcome ?? {};
  const took = o.headMs !== undefined ? ` after ${duration(o.headMs)}` : "";
  if (o.failure) out.push(`It ended with ${o.failure}${took}${o.sent ? "; the instance may have received the request" : "; the instance did not receive the request"}.`);
  else if (o.status) out.push(`It answered ${o.status}${took}.`);
  if (o.retried) out.push("Then another instance was tried.");
  const recorded = recordedFor[d.why ?? ""];
  if (recorded) out.push(recorded);
  return out;
}
