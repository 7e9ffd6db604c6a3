import { useMutation } from "@tanstack/react-query";
import { useId, useState } from "react";
import { post, type RouteTest } from "../api/client";
import { utc, zone } from "../ui/format";
import { CheckIcon } from "../ui/icons";
import { Failure } from "../ui/states";
import { TimeField } from "../ui/time";

const methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/** Finds the route of a request in the current configuration, and says why the other routes do not take it. Nothing is sent. */
export function RouteOfRequest() {
  const id = useId();
  const [request, setRequest] = useState({ method: "GET", url: "/", headers: "", client: "", serverName: "", listener: "" });
  const [at, setAt] = useState<number | null>(null);
  const test = useMutation({
    mutationFn: () =>
      post<RouteTest>("/config/route", {
        ...request,
        headers: request.headers.split("\n").filter((h) => h.trim() !== ""),
        ...(at !== null && { at: utc(at) }),
      }),
  });
  const field = (name: keyof typeof request) => ({
    id: `${id}-${name}`,
    value: request[name],
    spellCheck: false,
    onChange: (e: { target: { value: string } }) => setRequest({ ...request, [name]: e.target.value }),
  });
  return (
    <section aria-labelledby={`${id}-title`} className="route-test">
      <h2 id={`${id}-title`}>Route of a request</h2>
      <p className="muted">Compares a request with all routes of the current configuration. No request is sent.</p>
      <form
        onSubmit={(e) => {
          e.preventDefault();
          test.mutate();
        }}
      >
        <p>
          <label htmlFor={`${id}-method`}>Method</label>
          <select {...field("method")}>
            {methods.map((m) => (
              <option key={m}>{m}</option>
            ))}
          </select>
        </p>
        <p className="wide">
          <label htmlFor={`${id}-url`}>URL or path</label>
          <input type="text" required maxLength={8000} {...field("url")} />
        </p>
        <p className="wide">
          <label htmlFor={`${id}-headers`}>Headers, one per line</label>
          <textarea rows={3} maxLength={16000} placeholder="X-Canary: yes" {...field("headers")} />
        </p>
        <p>
          <label htmlFor={`${id}-client`}>Client address</label>
          <input type="text" placeholder="127.0.0.1" {...field("client")} />
        </p>
        <p>
          <label htmlFor={`${id}-serverName`}>TLS server name</label>
          <input type="text" placeholder="host of an https URL" {...field("serverName")} />
        </p>
        <p>
          <label htmlFor={`${id}-listener`}>Listener</label>
          <input type="text" {...field("listener")} />
        </p>
        <p>
          <label htmlFor={`${id}-at`}>Time, {zone(at ?? undefined)} (empty: now)</label>
          <TimeField id={`${id}-at`} ms={at} onChange={setAt} />
        </p>
        <button type="submit" className="primary" disabled={test.isPending}>
          Find route
        </button>
      </form>
      <div aria-live="polite">
        {test.isError && <Failure error={test.error} />}
        {test.data && <Found r={test.data} />}
      </div>
    </section>
  );
}

function Found({ r }: { r: RouteTest }) {
  return (
    <>
      <p className="found">
        <code>{r.request}</code>: {r.route ? (
          <>
            route <b>{r.route}</b>, {r.target}
          </>
        ) : (
          <b className="bad-text">no route matches, so the client gets 404</b>
        )}
      </p>
      {r.rateLimits.map((l) => (
        <p key={`${l.of} ${l.name}`} className="muted">
          rate limit of {l.of}: {l.name} {l.rate}
          {l.by && ` by ${l.by}`}
          {l.scope === "fleet" && ", all nodes together"}
          {l.dryRun && ", dry run"}
        </p>
      ))}
      <div className="result" tabIndex={0} role="region" aria-label="Routes in the order of precedence">
        <table className="plain">
          <thead>
            <tr>
              <th scope="col">Route</th>
              <th scope="col">Matches</th>
              <th scope="col">Reason</th>
            </tr>
          </thead>
          <tbody>
            {r.steps.map((s) => (
              <tr key={s.route} data-route={s.route}>
                <th scope="row">{s.route}</th>
                <td>{s.matched ? "yes" : "no"}</td>
                <td>
                  {s.matched && s.route === r.route ? (
                    <span className="ok-text">
                      <CheckIcon /> takes the request
                    </span>
                  ) : s.matched ? (
                    `route ${r.route} goes before it`
                  ) : (
                    `${s.missed} is ${s.got}, want ${s.want}`
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}
