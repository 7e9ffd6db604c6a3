import { useQuery } from "@tanstack/react-query";
import { useId, useState } from "react";
import { get, type LoginMethods, post } from "../api/client";
import { Failure, Waiting } from "../ui/states";

/** The login, with all methods that the node offers. */
export function Login() {
  const methods = useQuery({ queryKey: ["login"], queryFn: ({ signal }) => get<LoginMethods>("/login", signal) });
  return (
    <main id="main" className="login">
      <div className="card">
        <h1>smartlb</h1>
        {methods.isPending && <Waiting what="the node" />}
        {methods.isError && <Failure error={methods.error} again={() => void methods.refetch()} />}
        {methods.data?.password && <Password />}
        {methods.data?.issuer && <Issuer address={methods.data.issuer} />}
      </div>
    </main>
  );
}

function Password() {
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const user = useId();
  const password = useId();
  return (
    <form
      className="form"
      onSubmit={(e) => {
        e.preventDefault();
        const data = new FormData(e.currentTarget);
        setBusy(true);
        setError(null);
        post("/login", { user: data.get("user"), password: data.get("password") }).then(
          () => location.reload(), // repeats every query that was refused
          (problem: unknown) => {
            setError(problem);
            setBusy(false);
          },
        );
      }}
    >
      <div>
        <label htmlFor={user}>User</label>
        <input id={user} name="user" type="text" autoComplete="username" autoCapitalize="none" required maxLength={256} />
      </div>
      <div>
        <label htmlFor={password}>Password</label>
        <input id={password} name="password" type="password" autoComplete="current-password" required maxLength={256} />
      </div>
      {error !== null && <Failure error={error} />}
      <button type="submit" className="primary" disabled={busy}>
        {busy ? "Logging in …" : "Log in"}
      </button>
    </form>
  );
}

function Issuer({ address }: { address: string }) {
  return (
    <a className="button" href={`/api/v1/login/oidc?back=${encodeURIComponent(location.pathname + location.search)}`}>
      Log in at {URL.canParse(address) ? new URL(address).host : address}
    </a>
  );
}
