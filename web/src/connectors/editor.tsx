import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useId, useMemo, useState } from "react";
import { ApiError, type Connector, get, post, put, seg } from "../api/client";
import type { components } from "../api/schema";
import { Dialog, Ending } from "../ui/dialog";
import { navigate } from "../ui/route";
import { Failure, Waiting } from "../ui/states";
import { connectorPath } from "./paths";

type Plugin = components["schemas"]["ConnectPlugin"];
type Setting = components["schemas"]["ConnectSetting"];
type Applied = components["schemas"]["AppliedConnector"];

const masked = "********";

interface Props {
  /** The connector whose settings are edited; without it, a new connector is created. */
  of?: Connector;
  onClose: () => void;
  onDone?: () => void;
}

/** Edits the settings of a connector. The worker checks each of them while the user types. */
export function Editor({ of, onClose, onDone }: Props) {
  const plugins = useQuery({ queryKey: ["connect-plugins"], queryFn: ({ signal }) => get<Plugin[]>("/connect/plugins", signal), staleTime: 60_000 });
  const [name, setName] = useState(of?.name ?? "");
  const [config, setConfig] = useState<Record<string, string>>(() => ({ ...(of?.config ?? {}) }));
  const id = useId();
  const chosen = config["connector.class"] ?? "";
  return (
    <Dialog title={of ? `Settings of ${of.name}` : "Create a connector"} onClose={onClose} wide>
      {plugins.isPending && <Waiting what="the classes of the worker" />}
      {plugins.isError && <Failure error={plugins.error} again={() => void plugins.refetch()} />}
      {!of && plugins.data && (
        <div className="form columns">
          <p>
            <label htmlFor={`${id}-name`}>Name</label>
            <input id={`${id}-name`} type="text" autoComplete="off" spellCheck={false} value={name} onChange={(e) => setName(e.target.value)} />
          </p>
          <p>
            <label htmlFor={`${id}-class`}>Class</label>
            <select id={`${id}-class`} value={chosen} onChange={(e) => setConfig({ "connector.class": e.target.value, "tasks.max": "1" })}>
              <option value="">choose one of {plugins.data.length}</option>
              {plugins.data.map((p) => (
                <option key={`${p.class} ${p.version}`} value={p.class}>
                  {p.class.split(".").at(-1)} ({p.type}, {p.version})
                </option>
              ))}
            </select>
          </p>
        </div>
      )}
      {chosen === "" ? (
        <Ending onClose={onClose} />
      ) : (
        <SettingsForm name={name} create={!of} before={of?.config ?? {}} config={config} setConfig={setConfig} onClose={onClose} {...(onDone ? { onDone } : {})} />
      )}
    </Dialog>
  );
}

interface FormProps {
  name: string;
  create: boolean;
  before: Record<string, string>;
  config: Record<string, string>;
  setConfig: (c: Record<string, string>) => void;
  onClose: () => void;
  onDone?: () => void;
}

function SettingsForm({ name, create, before, config, setConfig, onClose, onDone }: FormProps) {
  const client = useQueryClient();
  const [settled, setSettled] = useState(config);
  useEffect(() => {
    const t = setTimeout(() => setSettled(config), 500);
    return () => clearTimeout(t);
  }, [config]);
  const path = `/connect/connectors/${seg(name || "new")}`;
  const check = useQuery({
    queryKey: ["connector-check", name, settled],
    queryFn: () => post<Setting[]>(`${path}/check`, { config: { ...settled, name: name || "new" } }),
    retry: false,
    gcTime: 0,
    placeholderData: (last) => last,
  });
  const [all, setAll] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const list = useMemo(() => {
    const known = check.data ?? [];
    const extra = Object.keys(config).filter((k) => !known.some((s) => s.name === k));
    const shown = known.filter((s) => s.name !== "name" && s.name !== "connector.class" && (all || config[s.name] !== undefined || s.required || s.errors.length > 0));
    return [...shown, ...extra.filter((k) => k !== "name" && k !== "connector.class").map(unknown)];
  }, [check.data, config, all]);
  const refusedSettings = (check.data ?? []).filter((s) => s.errors.length > 0).map((s) => s.name);
  const wrong = refusedSettings.length;
  const changed = [...new Set([...Object.keys(before), ...Object.keys(config)])].filter((k) => k !== "name" && before[k] !== config[k]);
  const set = (key: string, value: string | undefined) => {
    setConfig(value === undefined ? Object.fromEntries(Object.entries(config).filter(([k]) => k !== key)) : { ...config, [key]: value });
  };
  const save = () => {
    setBusy(true);
    setError(null);
    put<Applied>(path, { config, create }).then(
      () => {
        void client.invalidateQueries({ queryKey: ["connector", name] });
        void client.invalidateQueries({ queryKey: ["connect"] });
        onDone?.();
        onClose();
        if (create) navigate(connectorPath(name));
      },
      (e: unknown) => {
        setError(e);
        setBusy(false);
      },
    );
  };
  const refused = check.error instanceof ApiError ? check.error : null;
  return (
    <form
      className="form"
      onSubmit={(e) => {
        e.preventDefault();
        save();
      }}
    >
      <p className="row">
        <label className="check">
          <input type="checkbox" checked={all} onChange={(e) => setAll(e.target.checked)} /> all settings of the class
        </label>
        <span role="status" className={wrong > 0 ? "bad-text" : "muted"}>
          {check.isFetching ? "checking" : wrong > 0 ? `not accepted: ${refusedSettings.slice(0, 5).join(", ")}${wrong > 5 ? ` and ${wrong - 5} more` : ""}` : check.data ? "accepted by the worker" : ""}
        </span>
      </p>
      <div className="setting-fields" tabIndex={-1}>
        {list.map((s) => (
          <Field key={s.name} s={s} value={config[s.name]} was={before[s.name]} set={(v) => set(s.name, v)} />
        ))}
      </div>
      <AddSetting known={check.data ?? []} config={config} add={(k) => set(k, "")} />
      {refused && <Failure error={refused} />}
      {!create && changed.length > 0 && (
        <div className="changes" role="group" aria-label="What will change">
          {changed.map((k) => (
            <p key={k}>
              <code>{k}</code>: <span className="diff-del">{before[k] ?? "not set"}</span> → <span className="diff-add">{config[k] ?? "not set"}</span>
            </p>
          ))}
        </div>
      )}
      {error !== null && <Failure error={error} />}
      <Ending onClose={onClose}>
        <button type="submit" className="primary" disabled={busy || name.trim() === "" || wrong > 0 || refused !== null || (!create && changed.length === 0)}>
          {busy ? "Saving …" : create ? "Create" : "Save"}
        </button>
      </Ending>
    </form>
  );
}

const unknown = (name: string): Setting => ({ name, type: "STRING", required: false, default: null, importance: "", group: "", title: name, doc: "", visible: true, recommended: [], errors: [] });

function Field({ s, value, was, set }: { s: Setting; value: string | undefined; was: string | undefined; set: (v: string | undefined) => void }) {
  const id = useId();
  const secret = s.type === "PASSWORD" || was === masked;
  const kept = secret && value === masked;
  return (
    <div className="setting">
      <p className="row">
        <label htmlFor={id}>
          <code>{s.name}</code> {s.required && <span className="tag warn">required</span>}
        </label>
        <span className="muted small">{s.type.toLowerCase()}</span>
        {value !== undefined && !s.required && (
          <button type="button" className="quiet" onClick={() => set(undefined)} aria-label={`Unset ${s.name}`}>
            Unset
          </button>
        )}
      </p>
      {s.type === "BOOLEAN" ? (
        <select id={id} value={value ?? ""} aria-invalid={s.errors.length > 0} onChange={(e) => set(e.target.value === "" ? undefined : e.target.value)}>
          <option value="">default{s.default === null ? "" : `: ${s.default}`}</option>
          <option value="true">true</option>
          <option value="false">false</option>
        </select>
      ) : (
        <input
          id={id}
          type={secret && !value?.startsWith("${") && !kept ? "password" : "text"}
          autoComplete="off"
          spellCheck={false}
          list={s.recommended.length > 0 ? `${id}-l` : undefined}
          placeholder={s.default === null ? "" : `default: ${s.default}`}
          value={kept ? "" : (value ?? "")}
          aria-invalid={s.errors.length > 0}
          aria-describedby={`${id}-d`}
          onChange={(e) => set(e.target.value === "" && was === masked ? masked : e.target.value)}
        />
      )}
      {s.recommended.length > 0 && (
        <datalist id={`${id}-l`}>
          {s.recommended.map((v) => (
            <option key={v} value={v} />
          ))}
        </datalist>
      )}
      <p id={`${id}-d`} className="note">
        {s.errors.map((e) => (
          <span key={e} className="bad-text">
            {e}{" "}
          </span>
        ))}
        {kept && "The secret is kept. "}
        {secret && !kept && "Prefer a reference such as ${file:/path:key}, which the worker resolves. "}
        {s.doc}
      </p>
    </div>
  );
}

function AddSetting({ known, config, add }: { known: Setting[]; config: Record<string, string>; add: (name: string) => void }) {
  const [name, setName] = useState("");
  const id = useId();
  return (
    <p className="row add-setting">
      <label htmlFor={id}>Another setting</label>
      <input id={id} type="text" list={`${id}-l`} autoComplete="off" spellCheck={false} value={name} onChange={(e) => setName(e.target.value)} />
      <datalist id={`${id}-l`}>
        {known
          .filter((s) => config[s.name] === undefined)
          .map((s) => (
            <option key={s.name} value={s.name} />
          ))}
      </datalist>
      <button
        type="button"
        disabled={name.trim() === "" || config[name.trim()] !== undefined}
        onClick={() => {
          add(name.trim());
          setName("");
        }}
      >
        Add
      </button>
    </p>
  );
}
