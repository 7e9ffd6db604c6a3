import { keepPreviousData, useQuery, useQueryClient } from "@tanstack/react-query";
import { useId, useMemo, useState } from "react";
import { ApiError, type CatalogTopic, get, type NewTopic, post, type Rule, type Topic } from "../api/client";
import { Dialog, Ending } from "../ui/dialog";
import { CloseIcon } from "../ui/icons";
import { navigate, paths, useParam } from "../ui/route";
import { Failure } from "../ui/states";
import { useLater } from "./later";
import { problemsOf, ValueInput } from "./value";

interface Draft {
  name: string;
  partitions: string;
  replicas: string;
  configs: [name: string, value: string][];
}

const blank: Draft = { name: "", partitions: "3", replicas: "", configs: [] };
const number = (v: string) => (v.trim() === "" ? 0 : Number(v));
const draftOf = (t: NewTopic | CatalogTopic): Draft => ({ name: t.name, partitions: String(t.partitions), replicas: t.replicas ? String(t.replicas) : "", configs: Object.entries(t.configs ?? {}) });
const bodyOf = (d: Draft) => ({ name: d.name, partitions: number(d.partitions), replicas: number(d.replicas), configs: Object.fromEntries(d.configs) });

/** Creates a topic: empty, as a copy of another topic, or from the catalog. The broker's check is shown while the user types. */
export function CreateTopic({ onClose }: { onClose: () => void }) {
  const [like, setLike] = useParam("like");
  const [planned, setPlanned] = useParam("catalog");
  const client = useQueryClient();
  const [draft, setDraft] = useState<Draft>(blank);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const topics = useQuery({ queryKey: ["topics", ""], queryFn: ({ signal }) => get<Topic[]>("/topics", signal) });
  const catalog = useQuery({ queryKey: ["catalog"], queryFn: ({ signal }) => get<CatalogTopic[]>("/catalog", signal), staleTime: Number.POSITIVE_INFINITY });
  const rules = useQuery({ queryKey: ["rules"], queryFn: ({ signal }) => get<Record<string, Rule>>("/settings/rules", signal), staleTime: Number.POSITIVE_INFINITY });
  const model = useQuery({
    queryKey: ["clone", like],
    queryFn: () => post<NewTopic>("/topics?dryRun=true", { name: `${like.slice(0, 240)}-copy`, like }),
    enabled: like !== "",
    retry: false,
  });
  const missing = useMemo(() => (catalog.data ?? []).filter((c) => topics.data && !topics.data.some((t) => t.name === c.name)), [catalog.data, topics.data]);
  const source = (like !== "" ? model.data : missing.find((c) => c.name === planned)) ?? null;
  const [filledFrom, setFilledFrom] = useState<typeof source>(null);
  if (filledFrom !== source) {
    setFilledFrom(source);
    if (source) setDraft(draftOf(source));
  }

  const asked = useLater(draft, 300);
  const verdict = useQuery({
    queryKey: ["create?", asked],
    queryFn: () => post<NewTopic>("/topics?dryRun=true", bodyOf(asked)),
    enabled: asked.name !== "",
    placeholderData: keepPreviousData,
    retry: false,
    gcTime: 0,
  });
  const refused = asked.name !== "" && verdict.isError ? verdict.error : null;
  const { by, rest } = problemsOf(refused instanceof ApiError ? refused.problem.error : "", draft.configs.map(([n]) => n));
  const ready = draft.name !== "" && asked === draft && !verdict.isPlaceholderData && verdict.isSuccess;

  const create = () => {
    setBusy(true);
    setError(null);
    post<NewTopic>("/topics", bodyOf(draft)).then(
      async (t) => {
        await client.invalidateQueries({ queryKey: ["topics"] });
        navigate(paths.topic(t.name));
      },
      (e: unknown) => {
        setError(e);
        setBusy(false);
      },
    );
  };
  const start = like !== "" ? "like" : planned !== "" ? "catalog" : "nothing";
  const name = useId();
  const partitions = useId();
  const replicas = useId();
  const from = useId();
  return (
    <Dialog title="Create a topic" onClose={onClose}>
      <form
        className="form create-topic"
        onSubmit={(e) => {
          e.preventDefault();
          if (ready && !busy) create();
        }}
      >
        <div>
          <label htmlFor={from}>Start from</label>
          <select
            id={from}
            value={start === "like" ? `like ${like}` : start === "catalog" ? `catalog ${planned}` : ""}
            onChange={(e) => {
              const [kind, ...words] = e.target.value.split(" ");
              setLike(kind === "like" ? words.join(" ") : "");
              setPlanned(kind === "catalog" ? words.join(" ") : "");
              if (!kind) setDraft(blank);
            }}
          >
            <option value="">nothing</option>
            {missing.length > 0 && (
              <optgroup label="Missing topics of the catalog">
                {missing.map((c) => (
                  <option key={c.name} value={`catalog ${c.name}`}>
                    {c.name}
                  </option>
                ))}
              </optgroup>
            )}
            <optgroup label="Copy partitions and settings of">
              {like !== "" && !topics.data?.some((t) => t.name === like) && <option value={`like ${like}`}>{like}</option>}
              {topics.data?.slice(0, 500).map((t) => (
                <option key={t.name} value={`like ${t.name}`}>
                  {t.name}
                </option>
              ))}
            </optgroup>
          </select>
        </div>
        {model.isError && <Failure error={model.error} />}
        <div>
          <label htmlFor={name}>Name</label>
          <input id={name} ref={(e) => e?.setAttribute("autofocus", "")} type="text" autoComplete="off" spellCheck={false} maxLength={249} value={draft.name} onChange={(e) => setDraft({ ...draft, name: e.target.value })} />
        </div>
        <div className="pair">
          <div>
            <label htmlFor={partitions}>Partitions</label>
            <input id={partitions} type="number" min={1} value={draft.partitions} onChange={(e) => setDraft({ ...draft, partitions: e.target.value })} />
          </div>
          <div>
            <label htmlFor={replicas}>Replicas</label>
            <input id={replicas} type="number" min={1} placeholder="default of the cluster" value={draft.replicas} onChange={(e) => setDraft({ ...draft, replicas: e.target.value })} />
          </div>
        </div>
        <fieldset>
          <legend>Settings that differ from the broker's</legend>
          {draft.configs.map(([key, value], n) => (
            <div key={key} className="config-row">
              <span className="config-name">{key}</span>
              <ValueInput
                label={key}
                rule={rules.data?.[key]}
                value={value}
                problem={by.get(key)}
                onChange={(v) => setDraft({ ...draft, configs: draft.configs.map((c, i) => (i === n ? [key, v] : c)) })}
              />
              <button type="button" className="quiet" aria-label={`Remove ${key}`} onClick={() => setDraft({ ...draft, configs: draft.configs.filter((_, i) => i !== n) })}>
                <CloseIcon />
              </button>
            </div>
          ))}
          <select
            aria-label="Add a setting"
            value=""
            onChange={(e) => {
              const rule = rules.data?.[e.target.value];
              if (e.target.value) setDraft({ ...draft, configs: [...draft.configs, [e.target.value, first(e.target.value, rule)]] });
            }}
          >
            <option value="">Add a setting …</option>
            {Object.keys(rules.data ?? {})
              .filter((k) => !draft.configs.some(([c]) => c === k))
              .sort()
              .map((k) => (
                <option key={k}>{k}</option>
              ))}
          </select>
        </fieldset>
        <p className="note verdict" role="status">
          {rest && <span className="bad-text">{rest}</span>}
          {!refused && draft.name === "" && "Letters, digits, '.', '_' and '-', at most 249."}
          {!refused && ready && <span className="ok-text">The broker accepts this topic.</span>}
        </p>
        {error !== null && <Failure error={error} />}
        <Ending onClose={onClose}>
          <button type="submit" className="primary" disabled={!ready || busy}>
            {busy ? "Create …" : "Create"}
          </button>
        </Ending>
      </form>
    </Dialog>
  );
}

/** The initial value of a setting. */
function first(name: string, rule: Rule | undefined): string {
  if (name === "retention.ms") return "604800000";
  if (rule?.allowed) return rule.allowed[0] ?? "";
  return rule?.form === "time" ? "86400000" : rule?.form === "size" ? "1048576" : rule?.form === "fraction" ? "0.5" : String(rule?.min ?? "");
}
