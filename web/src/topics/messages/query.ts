import { useSyncExternalStore } from "react";
import { onNavigate, setParams } from "../../ui/route";

/** A search, in the form of the page's address: an address is a search. */
export interface Query {
  /** live, newest, or a position as the API knows it. */
  from: string;
  until: string;
  order: string;
  partitions: string;
  text: string;
  key: string;
  header: string;
  json: string;
  where: string;
  limit: string;
  bytes: string;
  seconds: string;
}

export const noQuery: Query = { from: "", until: "", order: "", partitions: "", text: "", key: "", header: "", json: "", where: "", limit: "", bytes: "", seconds: "" };
const names = Object.keys(noQuery) as (keyof Query)[];

export const terms = ["text", "key", "header", "json", "where"] as const;
export type Term = (typeof terms)[number];

export const isLive = (q: Query) => q.from === "" || q.from === "live";

export function queryOf(search: string): Query {
  const p = new URLSearchParams(search);
  const q = { ...noQuery };
  for (const n of names) q[n] = p.get(n) ?? "";
  return q;
}

/** The parameters of a call; at is the position where an earlier search ended. */
export function callOf(q: Query, at = ""): URLSearchParams {
  const p = new URLSearchParams();
  for (const n of names) {
    const v = q[n];
    if (v !== "" && !(n === "from" && (v === "live" || v === "newest"))) p.set(n, v);
  }
  if (at) p.set("at", at);
  return p;
}

/** The part of an address that holds a query. */
export function addressOf(q: Query): string {
  const p = new URLSearchParams();
  for (const n of names) if (q[n] !== "" && !(n === "from" && q[n] === "live")) p.set(n, q[n]);
  return p.toString();
}

export const same = (a: Query, b: Query) => names.every((n) => a[n] === b[n]);

let last = { search: "", query: noQuery };

/** The query of the address, the same object as long as it is the same. */
export function useQueryOfAddress(): Query {
  return useSyncExternalStore(onNavigate, () => {
    const search = location.search;
    if (search !== last.search) {
      const query = queryOf(search);
      last = { search, query: same(query, last.query) ? last.query : query };
    }
    return last.query;
  });
}

export function setQuery(q: Query): void {
  const values: Record<string, string | undefined> = {};
  for (const n of names) values[n] = n === "from" && q[n] === "live" ? undefined : q[n];
  setParams({ ...values, open: undefined });
}
