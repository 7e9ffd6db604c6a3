import { useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useReducer, useState } from "react";
import { type Decision, type Decisions, get } from "../api/client";
import { type Connection, openStream } from "../live/events";

const kept = 1000; // rows in the page

export const keyOf = (d: Decision) => `${d.partition}/${d.offset}`;

export interface Following {
  /** Newest first. */
  rows: Decision[];
  skipped: number;
  paused: boolean;
  /** Number of decisions that arrived while it was paused. */
  waiting: number;
  toggle: () => void;
  connection: Connection;
  /** Kafka answers the node. */
  kafka: boolean;
  error: unknown;
  pending: boolean;
}

/** Decisions that arrived since the page asked for the past; newest first. */
export interface Arrived {
  shown: Decision[];
  paused: boolean;
  waiting: Decision[];
  skipped: number;
  kafka: boolean;
}

export const noneArrived: Arrived = { shown: [], paused: false, waiting: [], skipped: 0, kafka: true };

export type ArrivedEvent = { do: "begin" } | { do: "receive"; batch: Decisions } | { do: "toggle" };

export function step(a: Arrived, e: ArrivedEvent): Arrived {
  switch (e.do) {
    case "begin": // the earlier results matched another query
      return { ...noneArrived, paused: a.paused, kafka: a.kafka };
    case "receive": {
      const { decisions, skipped, connected } = e.batch;
      const add = (to: Decision[]) => (decisions.length > 0 ? [...decisions.toReversed(), ...to].slice(0, kept) : to);
      const next = { ...a, kafka: connected };
      return a.paused ? { ...next, waiting: add(a.waiting) } : { ...next, shown: add(a.shown), skipped: a.skipped + skipped };
    }
    case "toggle":
      return a.paused ? { ...a, paused: false, shown: [...a.waiting, ...a.shown].slice(0, kept), waiting: [] } : { ...a, paused: true };
  }
}

/** Follows the decisions that match a query string: the recent ones first, then new ones. */
export function useDecisions(query: string): Following {
  const past = useQuery({ queryKey: ["decisions", query], queryFn: ({ signal }) => get<Decision[]>(`/decisions?last=500${query && `&${query}`}`, signal), staleTime: Infinity, gcTime: 0 });
  const [arrived, send] = useReducer(step, noneArrived);
  const [connection, setConnection] = useState<Connection>("connecting");
  useEffect(() => {
    send({ do: "begin" });
    return openStream({
      url: `/api/v1/decisions/events${query && `?${query}`}`,
      silence: 12_000, // the server sends an event every 5 s
      onConnection: setConnection,
      on: { decisions: (data) => send({ do: "receive", batch: data as Decisions }) },
    });
  }, [query]);
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
