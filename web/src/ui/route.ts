import { useCallback, useMemo, useSyncExternalStore } from "react";

/** The values in an address of a pattern's names. */
export type Params = Record<string, string>;

/** The values of the names if a path matches a pattern such as /topics/:topic; null if it does not. */
export function match(pattern: string, path: string): Params | null {
  const want = pattern.split("/").filter(Boolean);
  const have = path.split("/").filter(Boolean);
  if (want.length !== have.length) return null;
  const params: Params = {};
  for (const [n, w] of want.entries()) {
    let part: string;
    try {
      part = decodeURIComponent(have[n] ?? "");
    } catch {
      return null; // a lone % in the address
    }
    if (w.startsWith(":")) params[w.slice(1)] = part;
    else if (w !== part) return null;
  }
  return params;
}

/** The address of a pattern; names without a value end it. */
export function address(pattern: string, params: Params = {}, query?: Record<string, string | number | boolean | undefined>): string {
  const parts: string[] = [];
  for (const p of pattern.split("/").filter(Boolean)) {
    const v = p.startsWith(":") ? params[p.slice(1)] : p;
    if (v === undefined) break;
    parts.push(encodeURIComponent(v));
  }
  const q = new URLSearchParams();
  for (const [k, v] of Object.entries(query ?? {})) if (v !== undefined && v !== "" && v !== false) q.set(k, String(v));
  return `/${parts.join("/")}${q.size > 0 ? `?${q}` : ""}`;
}

export const paths = {
  overview: "/",
  instance: (service: string, instance: string) => address("/instances/:service/:instance", { service, instance }),
  decisions: "/decisions",
  decision: (request: string) => address("/decisions/:request", { request }),
  requests: "/requests",
  /** What the services can carry, or one of them. */
  capacity: (service?: string) => address("/capacity/:service", service === undefined ? {} : { service }),
  topics: "/topics",
  plan: "/plan",
  topic: (topic: string, tab?: string) => address("/topics/:topic/:tab", { topic, ...(tab ? { tab } : {}) }),
  /** One record, opened, in the list of its partition from its offset. */
  message: (topic: string, partition: number, offset: number) =>
    address("/topics/:topic/:tab", { topic, tab: "messages" }, { from: offset, partitions: partition, open: `${partition}:${offset}` }),
};

const changed = "smartlb:navigate";

/** Goes to an address of the console; with replace, the browser's Back skips the current address. */
export function navigate(to: string, how: { replace?: boolean } = {}): void {
  if (to === location.pathname + location.search) return;
  if (how.replace) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  dispatchEvent(new Event(changed));
}

/** Calls f after each change of the address, until the function that it returns is called. */
export function onNavigate(f: () => void): () => void {
  addEventListener("popstate", f);
  addEventListener(changed, f);
  return () => {
    removeEventListener("popstate", f);
    removeEventListener(changed, f);
  };
}

export function usePath(): string {
  return useSyncExternalStore(onNavigate, () => location.pathname);
}

/** One value of the address's query, and how to set it: an empty one is left out. Setting replaces: filters are not steps of the history. */
export function useParam(name: string, fallback = ""): [string, (v: string) => void] {
  const search = useSyncExternalStore(onNavigate, () => location.search);
  const value = useMemo(() => new URLSearchParams(search).get(name) ?? fallback, [search, name, fallback]);
  const set = useCallback((v: string) => setParams({ [name]: v === fallback ? undefined : v }), [name, fallback]);
  return [value, set];
}

/** Several values of the address's query; "" for those it does not have. names is the same array in every call. */
export function useParams<N extends string>(names: readonly N[]): Readonly<Record<N, string>> {
  const search = useSyncExternalStore(onNavigate, () => location.search);
  return useMemo(() => {
    const q = new URLSearchParams(search);
    return Object.fromEntries(names.map((n) => [n, q.get(n) ?? ""])) as Record<N, string>;
  }, [search, names]);
}

/** Sets several values of the address's query at once; undefined and empty ones are left out. */
export function setParams(values: Record<string, string | undefined>): void {
  const q = new URLSearchParams(location.search);
  for (const [k, v] of Object.entries(values)) {
    if (v === undefined || v === "") q.delete(k);
    else q.set(k, v);
  }
  navigate(`${location.pathname}${q.size > 0 ? `?${q}` : ""}`, { replace: true });
}
