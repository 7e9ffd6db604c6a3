import { useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useReducer, useState } from "react";
import { type Decision, type Decisions, get, type LoggedRequest, type LoggedRequests } from "../api/client";
import { type Connection, openStream } from "./events";

const kept = 1000; // rows in the page

/** What a page can follow: the lists of records in the API, by their names. */
interface Followed {
  decisions: Decision;
  requests: LoggedRequest;
}

interface Placed {
  partition: number;
  offset: number;
}

export const keyOf = (r: Placed) => `${r.partition}/${r.offset}`;

export interface Following<T> {
  /** Newest first. */
  rows: T[];
  skipped: number;
  paused: boolean;
  /** Number of records that arrived while it was paused. */
  waiting: number;
  toggle: () => void;
  connection: Connection;
  /** Kafka answers the node. */
  kafka: boolean;
  error: unknown;
  pending: boolean;
}

/** Records since the previous event of the stream, oldest first. */
export interface Batch<T> {
  rows: T[];
  skipped: number;
  connected: boolean;
}

/** Records that arrived since the page asked for the past; newest first. */
export interface Arrived<T> {
  shown: T[];
  paused: boolean;
  waiting: T[];
  skipped: number;
  kafka: boolean;
}

export const noneArrived: Arrived<never> = { shown: [], paused: false, waiting: [], skipped: 0, kafka: true };

export type ArrivedEvent<T> = { do: "begin" } | { do: "receive"; batch: Batch<T> } | { do: "toggle" };

export function step<T>(a: Arrived<T>, e: ArrivedEvent<T>): Arrived<T> {
  switch (e.do) {
    case "begin": // the earlier results matched another query
      return { ...noneArrived, paused: a.paused, kafka: a.kafka };
    case "receive": {
      const { rows, skipped, connected } = e.batch;
      const add = (to: T[]) => (rows.length > 0 ? [...rows.toReversed(), ...to].slice(0, kept) : to);
      const next = { ...a, kafka: connected };
      return a.paused ? { ...next, waiting: add(a.waiting) } : { ...next, shown: add(a.shown), skipped: a.skipped + skipped };
    }
    case "toggle":
      return a.paused ? { ...a, paused: false, shown: [...a.waiting, ...a.shown].slice(0, kept), waiting: [] } : { ...a, paused: true };
  }
}

const batchOf = {
  decisions: (b: Decisions): Batch<Decision> => ({ ...b, rows: b.decisions }),
  requests: (b: LoggedRequests): Batch<LoggedRequest> => ({ ...b, rows: b.requests }),
};

/** Follows the records of a list that match a query string: the recent ones first, then new ones. */
export function useFollowed<N extends keyof Followed>(name: N, query: string): Following<Followed[N]> {
  type T = Followed[N];
  const past = useQuery({ queryKey: [name, query], queryFn: ({ signal }) => get<T[]>(`/${name}?last=500${query && `&${query}`}`, signal), staleTime: Infinity, gcTime: 0 });
  const [arrived, send] = useReducer<Arrived<T>, [ArrivedEvent<T>]>(step, noneArrived);
  const [connection, setConnection] = useState<Connection>("connecting");
  useEffect(() => {
    send({ do: "begin" });
    return openStream({
      url: `/api/v1/${name}/events${query && `?${query}`}`,
      silence: 12_000, // the server sends an event every 5 s
      onConnection: setConnection,
      on: { [name]: (data: unknown) => send({ do: "receive", batch: (batchOf[name] as (b: unknown) => Batch<T>)(data) }) },
    });
  }, [name, query]);
  const rows = useMemo(() => {
    const seen = new Set<string>();
    const all = [...arrived.shown, ...(past.data ?? [])].filter((d) => {
      const key = keyOf(d);
      if (seen.has(key)) return false;
      seen.add(key);
      return true;
    });
    return all.slice(0, kept);
  }, [arrived.shown, past.data]);
  const { skipped, paused, waiting, kafka } = arrived;
  return { rows, skipped, paused, waiting: waiting.length, toggle: () => send({ do: "toggle" }), connection, kafka, error: past.error, pending: past.isPending };
}
